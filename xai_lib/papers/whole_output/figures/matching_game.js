(() => {
  "use strict";

  const shuffled = (items) => {
    const mixed = [...items];
    for (let last = mixed.length - 1; last > 0; last--) {
      const other = Math.floor(Math.random() * (last + 1));
      [mixed[last], mixed[other]] = [mixed[other], mixed[last]];
    }
    return mixed;
  };

  const play = (game) => {
    const rounds = [...game.querySelectorAll(".game-round")];
    const form = game.querySelector("form");
    const questions = [...form.querySelectorAll("fieldset")];
    const [check, next] = form.querySelectorAll("button");
    const feedback = form.querySelector(".game-feedback");
    const result = game.querySelector(".game-result");
    const again = result.querySelector("button");
    let order, answers, maps;

    const begin = () => {
      order = shuffled(rounds);
      answers = [];
      result.hidden = true;
      form.hidden = false;
      ask();
    };

    const ask = () => {
      const round = order[answers.length];
      for (const each of rounds) each.hidden = each !== round;
      round.querySelector(".game-number").textContent = `Round ${answers.length + 1} of ${rounds.length}`;
      maps = shuffled(round.querySelectorAll(".game-maps > *"));
      round.querySelector(".game-maps").append(...maps);
      maps.forEach((map, place) => (map.firstChild.textContent = `Map ${"AB"[place]}`));
      const labels = maps.map((map) => map.dataset.label).sort();
      form.querySelectorAll("[name=match]").forEach((choice, first) => {
        const pair = [labels[first], labels[1 - first]];
        choice.value = pair[0];
        choice.nextElementSibling.querySelectorAll("b").forEach((name, place) => (name.textContent = pair[place]));
      });
      form.reset();
      for (const question of questions) question.disabled = false;
      check.hidden = false;
      next.hidden = true;
      feedback.textContent = "";
      delete feedback.dataset.right;
    };

    const answer = (event) => {
      event.preventDefault();
      const { method } = order[answers.length].dataset;
      const [a, b] = maps.map((map) => map.dataset.label);
      const right = form.elements.match.value === a;
      answers.push({ method, right, sure: Number(form.elements.sure.value) });
      for (const map of maps) map.firstChild.textContent += `: ${map.dataset.label}`;
      feedback.dataset.right = right;
      feedback.append(bold(right ? "Right." : "Wrong."), ` Map A: ${a}; map B: ${b}. Drawn by ${method}.`);
      for (const question of questions) question.disabled = true;
      next.textContent = answers.length < rounds.length ? "Next round" : "See your score";
      next.hidden = false;
      check.hidden = true;
      goTo(next);
    };

    const goOn = () => {
      if (answers.length < rounds.length) ask();
      else finish();
      goToNumber();
    };

    const finish = () => {
      for (const each of rounds) each.hidden = true;
      form.hidden = true;
      const methods = [...new Set(rounds.map((round) => round.dataset.method))];
      const rows = methods.map((method) => [method, answers.filter((given) => given.method === method)]);
      if (methods.length > 1) rows.push(["All", answers]);
      result.querySelector("tbody").replaceChildren(...rows.map(([name, given]) => row(name, given)));
      result.querySelector(".game-number").textContent = `Your score: ${score(answers)}`;
      result.hidden = false;
    };

    const goToNumber = () => goTo(game.querySelector(":not([hidden]) > .game-number"));

    form.addEventListener("submit", answer);
    next.addEventListener("click", goOn);
    again.addEventListener("click", () => {
      begin();
      goToNumber();
    });
    for (const solution of game.querySelectorAll("details")) solution.remove();
    begin();
  };

  // A browser's own way moves the element to the middle of the page; the pictures should stay in sight.
  const goTo = (element) => {
    element.focus({ preventScroll: true });
    element.scrollIntoView({ block: "nearest" });
  };

  const score = (answers) => `${answers.filter((given) => given.right).length} of ${answers.length}`;

  const bold = (text) => {
    const word = document.createElement("b");
    word.textContent = text;
    return word;
  };

  const row = (name, answers) => {
    const sure = answers.reduce((sum, given) => sum + given.sure, 0) / answers.length;
    const line = document.createElement("tr");
    for (const [tag, text] of [["th", name], ["td", score(answers)], ["td", sure.toFixed(1)]]) {
      const cell = line.appendChild(document.createElement(tag));
      cell.textContent = text;
      if (tag === "th") cell.scope = "row";
    }
    return line;
  };

  for (const game of document.querySelectorAll(".matching-game:not([data-started])")) {
    game.dataset.started = "";
    play(game);
  }
})();
