// Zoom, drag and search in one drawing of xai_lib.figures.zoomable_tree. Groups are nested as the nodes of the tree are.
function latentTree(root) {
  const LEGIBLE = 6; // pixels, of labels; below, captions show
  const FONT = 12; // units of the drawing, of labels
  const LARGEST = 3; // pixels a unit
  const READING = 1.15;
  const GLIDE = 350; // milliseconds

  const [frame, svg, said, input] = [".frame", "svg", ".said", "input"].map((name) => root.querySelector(name));
  const labels = [...svg.querySelectorAll("g > text")];
  const captions = [...svg.querySelectorAll(".caption")].sort((a, b) => b.dataset.labels - a.dataset.labels);
  const route = svg.appendChild(document.createElementNS(svg.namespaceURI, "path"));
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const { x: left, y: top, width: wide, height: high } = svg.viewBox.baseVal;
  const whole = { x: left, y: top, width: wide, height: high };
  let centre = middle(whole); // of the view, in the drawing
  let scale = 0; // pixels a unit
  let flight; // the animation that runs

  function middle({ x, y, width, height }) {
    return { x: x + width / 2, y: y + height / 2 };
  }

  function within(value, low, high) {
    return low > high ? (low + high) / 2 : Math.min(Math.max(value, low), high);
  }

  const size = () => ({ width: svg.clientWidth || 1, height: svg.clientHeight || 1 });
  const smallest = () => Math.min(size().width / whole.width, size().height / whole.height);
  const allowed = (k) => within(k, smallest(), Math.max(smallest(), LARGEST));

  // The view: a place of the drawing in the middle, and k pixels a unit.
  function show({ x, y }, k) {
    scale = allowed(k);
    const [width, height] = [size().width / scale, size().height / scale];
    centre = {
      x: within(x, whole.x + width / 2, whole.x + whole.width - width / 2),
      y: within(y, whole.y + height / 2, whole.y + whole.height - height / 2),
    };
    svg.setAttribute("viewBox", `${centre.x - width / 2} ${centre.y - height / 2} ${width} ${height}`);
    svg.style.setProperty("--scale", scale);
    const distant = FONT * scale < LEGIBLE;
    root.classList.toggle("distant", distant);
    root.classList.toggle("zoomed", scale > smallest() * 1.01);
    if (distant) spread();
  }

  // Captions keep their size and would cover each other: those of the larger parts stay.
  function spread() {
    const kept = [];
    captions.forEach((caption) => caption.classList.remove("covered"));
    for (const caption of captions) {
      const { x, y, width, height } = caption.getBBox();
      const covers = (box) =>
        x < box.x + box.width && box.x < x + width && y < box.y + box.height && box.y < y + height;
      if (kept.some(covers)) caption.classList.add("covered");
      else kept.push({ x, y, width, height });
    }
  }

  function glide(to, k) {
    cancelAnimationFrame(flight);
    const [from, before, start] = [centre, scale, performance.now()];
    const step = (now) => {
      const done = still ? 1 : within((now - start) / GLIDE, 0, 1);
      const way = done * done * (3 - 2 * done);
      const place = { x: from.x + (to.x - from.x) * way, y: from.y + (to.y - from.y) * way };
      show(place, before * (k / before) ** way);
      if (done < 1) flight = requestAnimationFrame(step);
    };
    step(start);
  }

  const showAll = () => glide(middle(whole), smallest());
  const move = (dx, dy) => show({ x: centre.x + dx / scale, y: centre.y + dy / scale }, scale);

  function showPart(box, most) {
    glide(middle(box), allowed(Math.min(most, (0.92 * size().width) / box.width, (0.92 * size().height) / box.height)));
  }

  // What lies below a point of the screen, or in the middle, stays there.
  function zoom(factor, clientX, clientY) {
    cancelAnimationFrame(flight);
    const screen = middle(svg.getBoundingClientRect());
    const [dx, dy] = clientX === undefined ? [0, 0] : [clientX - screen.x, clientY - screen.y];
    const k = allowed(scale * factor);
    show({ x: centre.x + dx / scale - dx / k, y: centre.y + dy / scale - dy / k }, k);
  }

  // Along the lines from a label or a dot to the top of its part of the tree.
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

  const named = (texts) => texts.map((text) => text.textContent).join(", ");

  function mark(texts, path = "") {
    labels.forEach((text) => text.classList.toggle("match", texts.includes(text)));
    route.setAttribute("d", path);
  }

  function chooseLabel(text) {
    const cluster = text.closest("g");
    const others = [...cluster.querySelectorAll("text")].filter((other) => other !== text);
    mark([text], wayUp(text));
    const place = others.length ? `in a cluster with ${named(others)}` : "in a cluster of its own";
    said.textContent = `${text.textContent}: ${place}.`;
    const { x, y, width, height } = cluster.getBBox();
    showPart({ x: x - 60, y: y - 60, width: width + 80, height: height + 120 }, Math.max(scale, READING));
  }

  function chooseNode(group) {
    const texts = [...group.querySelectorAll("text")];
    const clusters = group.querySelectorAll(".cluster, .alone").length;
    mark([], wayUp(group.querySelector(":scope > circle")));
    said.textContent = clusters
      ? `${texts.length} classes in ${clusters} ${clusters === 1 ? "cluster" : "clusters"}.`
      : `A cluster of ${texts.length}: ${named(texts)}.`;
    showPart(group.getBBox(), 1.3 * READING);
  }

  function found() {
    const wanted = input.value.trim().toLowerCase();
    if (!wanted) return [];
    const exact = labels.filter((text) => text.textContent.toLowerCase() === wanted);
    return exact.length ? exact : labels.filter((text) => text.textContent.toLowerCase().includes(wanted));
  }

  let turn = 0; // which match Enter shows next
  input.addEventListener("input", () => {
    turn = 0;
    const matches = found();
    if (matches.length === 1) return chooseLabel(matches[0]);
    mark(matches);
    said.textContent = matches.length
      ? `${matches.length} classes match. Enter shows one after the other.`
      : input.value.trim() && "No class matches.";
  });
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    const matches = found();
    if (matches.length) chooseLabel(matches[turn++ % matches.length]);
  });

  const does = { in: () => zoom(1.5), out: () => zoom(1 / 1.5), all: showAll };
  for (const button of root.querySelectorAll("button")) button.addEventListener("click", does[button.dataset.does]);

  const keys = {
    "+": does.in,
    "=": does.in,
    "-": does.out,
    0: does.all,
    ArrowLeft: () => move(-60, 0),
    ArrowRight: () => move(60, 0),
    ArrowUp: () => move(0, -60),
    ArrowDown: () => move(0, 60),
  };
  frame.addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  });

  // The wheel scrolls the page until the reader has clicked in the drawing.
  const onWheel = (event) => {
    if (!event.ctrlKey && document.activeElement !== frame) return;
    event.preventDefault();
    zoom(2 ** (-event.deltaY / 300), event.clientX, event.clientY);
  };
  frame.addEventListener("wheel", onWheel, { passive: false });

  const pointers = new Map(); // those that are down, and where: one drags, two zoom
  let travelled = 0;
  svg.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    if (!pointers.size) travelled = 0;
    pointers.set(event.pointerId, event);
  });
  svg.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    pointers.set(event.pointerId, event);
    const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY];
    travelled += Math.abs(dx) + Math.abs(dy);
    if (travelled <= 4) return; // a click
    svg.setPointerCapture(event.pointerId);
    cancelAnimationFrame(flight);
    const other = [...pointers.values()].find((pointer) => pointer.pointerId !== event.pointerId);
    if (!other) return move(-dx, -dy);
    const apart = ({ clientX, clientY }) => Math.hypot(clientX - other.clientX, clientY - other.clientY) || 1;
    zoom(apart(event) / apart(before), other.clientX, other.clientY);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    svg.addEventListener(end, (event) => pointers.delete(event.pointerId));
  }
  svg.addEventListener("pointerleave", (event) => {
    if (!svg.hasPointerCapture(event.pointerId)) pointers.delete(event.pointerId);
  });
  svg.addEventListener("click", ({ target }) => {
    if (travelled > 4) return;
    if (target.matches("g > text")) chooseLabel(target);
    if (target.matches("circle, g > path")) chooseNode(target.parentNode);
  });

  route.setAttribute("class", "route");
  const options = labels.map((text) => new Option(text.textContent));
  root.querySelector("datalist").append(...options.sort((a, b) => a.text.localeCompare(b.text)));
  for (const element of root.querySelectorAll("[hidden]")) element.hidden = false;
  const onResize = () => (root.classList.contains("zoomed") ? show(centre, scale) : show(middle(whole), 0));
  new ResizeObserver(onResize).observe(svg);
  onResize();
}
