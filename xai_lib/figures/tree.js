// Zoom, drag and search of one drawing that xai_lib.figures.zoomable_tree made. All it knows is in the drawing.
function latentTree(root) {
  const frame = root.querySelector(".frame");
  const svg = root.querySelector("svg");
  const said = root.querySelector(".said");
  const input = root.querySelector("input");
  const labels = [...svg.querySelectorAll("g > text")];
  const whole = { ...boxOf(svg.viewBox.baseVal) };
  const route = svg.appendChild(document.createElementNS(svg.namespaceURI, "path"));
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const LEGIBLE = 6; // pixels, as in tree.py
  const FONT = 12;
  let centre, scale; // of the view: a place in the drawing, and pixels a unit
  let flight;

  function boxOf({ x, y, width, height }) {
    return { x, y, width, height };
  }

  const size = () => ({ width: svg.clientWidth || 1, height: svg.clientHeight || 1 });
  const smallest = () => Math.min(size().width / whole.width, size().height / whole.height);
  const within = (value, low, high) => (low > high ? (low + high) / 2 : Math.min(Math.max(value, low), high));

  function show(x, y, k) {
    const { width, height } = size();
    scale = within(k, smallest(), Math.max(smallest(), 3));
    const [w, h] = [width / scale, height / scale];
    centre = {
      x: within(x, whole.x + w / 2, whole.x + whole.width - w / 2),
      y: within(y, whole.y + h / 2, whole.y + whole.height - h / 2),
    };
    svg.setAttribute("viewBox", `${centre.x - w / 2} ${centre.y - h / 2} ${w} ${h}`);
    svg.style.setProperty("--scale", scale);
    root.classList.toggle("far", FONT * scale < LEGIBLE);
    root.classList.toggle("near", scale > smallest() * 1.01);
  }

  function fly(x, y, k) {
    cancelAnimationFrame(flight);
    const from = { ...centre, k: scale };
    const start = performance.now();
    const step = (now) => {
      const done = calm ? 1 : Math.min(1, Math.max(0, (now - start) / 350));
      const eased = done * done * (3 - 2 * done);
      const at = (a, b) => a + (b - a) * eased;
      show(at(from.x, x), at(from.y, y), from.k * (k / from.k) ** eased);
      if (done < 1) flight = requestAnimationFrame(step);
    };
    step(start);
  }

  const showAll = () => fly(whole.x + whole.width / 2, whole.y + whole.height / 2, smallest());

  function showBox(box, most) {
    const { width, height } = size();
    const k = Math.min(most, (0.92 * width) / box.width, (0.92 * height) / box.height);
    fly(box.x + box.width / 2, box.y + box.height / 2, k);
  }

  // Zoom so that the place in the drawing below a point of the screen stays there.
  function zoom(factor, clientX, clientY) {
    cancelAnimationFrame(flight);
    const { left, top, width, height } = svg.getBoundingClientRect();
    const [dx, dy] = clientX === undefined ? [0, 0] : [clientX - left - width / 2, clientY - top - height / 2];
    const k = within(scale * factor, smallest(), Math.max(smallest(), 3));
    show(centre.x + dx / scale - dx / k, centre.y + dy / scale - dy / k, k);
  }

  // The way along the lines from a label or a dot up to the top of its subtree.
  function wayUp(element) {
    const at = (node, name) => Number(node.getAttribute(name));
    let group = element.closest("g");
    let dot = group.querySelector(":scope > circle");
    let path = `M${at(dot, "cx")} ${at(dot, "cy")}`;
    if (element.matches("text")) {
      const x = at(element, "x") - Number(svg.dataset.indent);
      path = `M${x + 8} ${at(element, "y")}H${x}V${at(dot, "cy")}H${at(dot, "cx")}`;
    }
    while ((group = group.parentNode.closest("g"))) {
      const x = at(dot, "cx") - Number(svg.dataset.step);
      dot = group.querySelector(":scope > circle");
      path += `H${x}V${at(dot, "cy")}H${at(dot, "cx")}`;
    }
    return path;
  }

  const named = (elements) => elements.map((text) => text.textContent).join(", ");

  function choose(text) {
    const cluster = text.closest("g");
    const others = [...cluster.querySelectorAll("text")].filter((other) => other !== text);
    mark([text]);
    route.setAttribute("d", wayUp(text));
    said.textContent = `${text.textContent}: ${others.length ? `in a cluster with ${named(others)}` : "a cluster of its own"}.`;
    const box = boxOf(cluster.getBBox());
    showBox({ x: box.x - 60, y: box.y - 60, width: box.width + 80, height: box.height + 120 }, Math.max(scale, 1.15));
  }

  function chooseNode(dot) {
    const below = dot.parentNode;
    const texts = [...below.querySelectorAll("text")];
    const clusters = below.querySelectorAll(".cluster, .alone").length;
    mark([]);
    route.setAttribute("d", wayUp(dot));
    said.textContent = clusters
      ? `${texts.length} classes in ${clusters} ${clusters === 1 ? "cluster" : "clusters"} below this node.`
      : `A cluster of ${texts.length}: ${named(texts)}.`;
    showBox(boxOf(below.getBBox()), 1.5);
  }

  function mark(texts) {
    labels.forEach((text) => text.classList.toggle("match", texts.includes(text)));
    route.setAttribute("d", "");
  }

  const found = () => {
    const wanted = input.value.trim().toLowerCase();
    const name = (text) => text.textContent.toLowerCase();
    const exact = labels.filter((text) => name(text) === wanted);
    return exact.length || !wanted ? exact : labels.filter((text) => name(text).includes(wanted));
  };

  let turn = 0; // of the matches, which one Enter shows next
  input.addEventListener("input", () => {
    turn = 0;
    const matches = found();
    if (matches.length === 1) return choose(matches[0]);
    mark(matches);
    said.textContent = !input.value.trim() ? "" : matches.length ? `${matches.length} classes match. Enter shows one after the other.` : "No class matches.";
  });
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    const matches = found();
    if (!matches.length) return;
    choose(matches[turn++ % matches.length]);
  });

  const does = { in: () => zoom(1.5), out: () => zoom(1 / 1.5), all: showAll };
  root.querySelectorAll("button").forEach((button) => button.addEventListener("click", does[button.dataset.does]));

  const keys = {
    "+": does.in,
    "=": does.in,
    "-": does.out,
    0: does.all,
    ArrowLeft: () => show(centre.x - 60 / scale, centre.y, scale),
    ArrowRight: () => show(centre.x + 60 / scale, centre.y, scale),
    ArrowUp: () => show(centre.x, centre.y - 60 / scale, scale),
    ArrowDown: () => show(centre.x, centre.y + 60 / scale, scale),
  };
  frame.addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  });

  // The wheel scrolls the page until the reader has clicked in the drawing.
  frame.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && document.activeElement !== frame) return;
      event.preventDefault();
      zoom(2 ** (-event.deltaY / 300), event.clientX, event.clientY);
    },
    { passive: false },
  );

  const fingers = new Map(); // pointers that are down, and where
  let moved = 0;
  svg.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    if (!fingers.size) moved = 0;
    fingers.set(event.pointerId, event);
  });
  svg.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY];
    moved += Math.abs(dx) + Math.abs(dy);
    if (moved > 4) svg.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, event);
    cancelAnimationFrame(flight);
    if (fingers.size === 1) return show(centre.x - dx / scale, centre.y - dy / scale, scale);
    const other = [...fingers.values()].find((finger) => finger.pointerId !== event.pointerId);
    const apart = (finger) => Math.hypot(finger.clientX - other.clientX, finger.clientY - other.clientY) || 1;
    zoom(apart(event) / apart(before), other.clientX, other.clientY);
  });
  ["pointerup", "pointercancel"].forEach((name) => svg.addEventListener(name, (event) => fingers.delete(event.pointerId)));
  svg.addEventListener("click", ({ target }) => {
    if (moved > 4) return;
    if (target.matches("g > text")) choose(target);
    if (target.matches("circle")) chooseNode(target);
  });

  route.setAttribute("class", "route");
  const options = labels.map((text) => new Option(text.textContent));
  root.querySelector("datalist").append(...options.sort((a, b) => a.text.localeCompare(b.text)));
  root.querySelectorAll("[hidden]").forEach((element) => (element.hidden = false));
  new ResizeObserver(() => {
    const k = scale ?? 0;
    if (root.classList.contains("near")) show(centre.x, centre.y, k);
    else show(whole.x + whole.width / 2, whole.y + whole.height / 2, 0);
  }).observe(svg);
}
