// The labelling page: shows `view` and `picture`, says what the annotator does. All that is kept
// is kept in Python (desk.py); here are only the tool, the chosen category and a drawing not yet done.

const SVG = "http://www.w3.org/2000/svg";
const TOOLS = [
  ["tag", "Tag", "t", "Choose a category: the image shows it."],
  ["point", "Point", "p", "Click on an object."],
  ["box", "Box", "b", "Drag from corner to corner."],
  ["outline", "Outline", "o", "Click from corner to corner of the outline; Enter closes it."],
  ["sam", "SAM mask", "m", "Click on an object, or drag a box around it; \u2191 \u2193 change the offer, Enter takes it."],
];

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "disabled") element.disabled = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function shape(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function ringPath(rings) {
  const corners = (ring) => ring.flatMap((x, i) => (i % 2 ? [] : [`${x},${ring[i + 1]}`]));
  return rings.map((ring) => `M${corners(ring).join("L")}Z`).join("");
}

const boxBetween = ([x0, y0], [x1, y1]) =>
  [Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0)];

function render({ model, el }) {
  const state = { tool: "box", category: null, chosen: null, offer: 0, start: null, at: null, ring: [], window: null, pan: null, hint: "" };
  let worked = 0; // milliseconds, up to `since`
  let since = Date.now();
  let address = "";

  const root = make("div", { class: "wsis-label", tabindex: "0", role: "application",
    "aria-label": "Labelling page", "data-lm-suppress-shortcuts": "true" });
  const bar = make("div", { class: "row" });
  const tools = make("div", { class: "row", role: "toolbar", "aria-label": "Tools", style: "margin-top:6px" });
  const svg = shape("svg", { role: "img", preserveAspectRatio: "xMidYMid meet" });
  const side = make("div", { class: "side" });
  const alert = make("div", { role: "alert" });
  const help = make("div", { class: "help" });
  root.append(bar, tools, make("div", { class: "table" }, svg, side), alert, help);
  el.append(root);

  // Time counts while the page can be seen.
  const seen = () => {
    if (document.hidden) worked += Date.now() - since;
    since = Date.now();
  };
  document.addEventListener("visibilitychange", seen);

  function say(message) {
    const seconds = (worked + (document.hidden ? 0 : Date.now() - since)) / 1000;
    worked = 0;
    since = Date.now();
    state.hint = "";
    model.send({ ...message, seconds });
  }

  const view = () => model.get("view");
  const category = (id) => view().categories.find((c) => c.id === id);

  function drop() {
    Object.assign(state, { start: null, at: null, ring: [] });
  }

  function choose(id) {
    Object.assign(state, { category: id, hint: "" });
    if (state.tool === "tag") say({ do: "add", category: id });
    draw();
  }

  function use(tool) {
    state.tool = tool;
    drop();
    draw();
  }

  function place(event) {
    const matrix = svg.getScreenCTM();
    if (!matrix) return [0, 0];
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
    return [Math.min(Math.max(x, 0), view().width), Math.min(Math.max(y, 0), view().height)];
  }

  // What is about to be labelled needs a category.
  function named() {
    if (state.category === null) state.hint = "Choose a category first.";
    return state.category !== null;
  }

  function add(what) {
    if (named()) say({ do: "add", category: state.category, ...what });
  }

  function closeRing() {
    const ring = state.ring.flat();
    drop();
    if (ring.length >= 6) add({ polygons: [ring] });
    draw();
  }

  svg.addEventListener("pointerdown", (event) => {
    root.focus({ preventScroll: true });
    if (!view().width) return;
    svg.setPointerCapture(event.pointerId);
    if (event.shiftKey || event.button === 1) {
      state.pan = [event.clientX, event.clientY];
      event.preventDefault();
    } else if (event.button === 0) {
      const at = place(event);
      if (state.tool === "outline") state.ring.push(at);
      else if (state.tool !== "tag") Object.assign(state, { start: at, at });
      draw();
    }
  });
  svg.addEventListener("pointermove", (event) => {
    if (state.pan && state.window) {
      const scale = state.window[2] / svg.getBoundingClientRect().width;
      state.window[0] -= (event.clientX - state.pan[0]) * scale;
      state.window[1] -= (event.clientY - state.pan[1]) * scale;
      state.pan = [event.clientX, event.clientY];
    } else if (state.start || state.ring.length) state.at = place(event);
    else return;
    drawShapes();
  });
  svg.addEventListener("pointerup", (event) => {
    state.pan = null;
    if (!state.start) return;
    const [start, end] = [state.start, place(event)];
    drop();
    const box = boxBetween(start, end);
    const dragged = Math.max(box[2], box[3]) > view().width / 200;
    if (state.tool === "point") add({ point: end });
    else if (state.tool === "box" && dragged) add({ box });
    else if (state.tool === "sam") {
      state.offer = 0;
      say({ do: "ask", ...(dragged ? { box } : { point: end }) });
    }
    draw();
  });
  svg.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoom(event.deltaY < 0 ? 0.8 : 1.25, place(event));
  }, { passive: false });

  function zoom(factor, [x, y]) {
    const { width, height } = view();
    const [left, top, w, h] = state.window ?? [0, 0, width, height];
    state.window = w * factor >= width ? null
      : [x - (x - left) * factor, y - (y - top) * factor, w * factor, h * factor];
    drawShapes();
  }

  root.addEventListener("keydown", (event) => {
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) {
      event.stopPropagation();
      return;
    }
    const key = event.key.toLowerCase();
    const middle = [view().width / 2, view().height / 2];
    const offers = view().offers.length;
    const tool = TOOLS.find((t) => t[2] === key);
    const number = view().categories[Number(key) - 1];
    const command = event.ctrlKey || event.metaKey;
    let known = true;
    if (command && key === "z") say({ do: event.shiftKey ? "redo" : "undo" });
    else if (command && key === "y") say({ do: "redo" });
    else if (command || event.altKey) known = false;
    else if (tool && (tool[0] !== "sam" || view().sam)) use(tool[0]);
    else if (/^[1-9]$/.test(key) && number) choose(number.id);
    else if (key === "f") say({ do: view().done ? "reopen" : "finish" });
    else if (key === "arrowright") say({ do: "go", to: "next" });
    else if (key === "arrowleft") say({ do: "go", to: "previous" });
    else if (offers && (key === "arrowdown" || key === "arrowup")) {
      state.offer = (state.offer + (key === "arrowdown" ? 1 : offers - 1)) % offers;
      draw();
    } else if (key === "enter" && offers) take();
    else if (key === "enter" && state.ring.length && event.target === root) closeRing();
    else if (key === "backspace" && state.ring.length) {
      state.ring.pop();
      drawShapes();
    } else if (key === "escape") {
      drop();
      state.chosen = null;
      draw();
    } else if ((key === "delete" || key === "backspace") && state.chosen !== null) say({ do: "remove", entry: state.chosen });
    else if (key === "+" || key === "=") zoom(0.8, middle);
    else if (key === "-") zoom(1.25, middle);
    else known = false;
    if (known) {
      event.preventDefault();
      event.stopPropagation();
    }
  });

  function take() {
    if (named()) say({ do: "choose", category: state.category, offer: state.offer });
    else draw();
  }

  function button(text, key, action, attributes = {}) {
    const label = key ? [text, make("kbd", { "aria-hidden": "true" }, key)] : [text];
    return make("button", { type: "button", onclick: action, ...attributes }, ...label);
  }

  function drawBar(v) {
    const name = make("span", {}, `${v.image} (${v.index + 1} of ${v.count})`);
    const finished = make("span", { class: "finished" }, `${v.finished} of ${v.count} labelled`);
    bar.replaceChildren(
      button("Previous", "\u2190", () => say({ do: "go", to: "previous" })),
      button("Next", "\u2192", () => say({ do: "go", to: "next" })),
      button("Next unlabelled", "", () => say({ do: "go", to: "unfinished" }), { disabled: v.finished === v.count }),
      name, make("span", { class: "space" }), finished,
      button("Undo", "Ctrl Z", () => say({ do: "undo" }), { disabled: !v.undo }),
      button("Redo", "Ctrl Y", () => say({ do: "redo" }), { disabled: !v.redo }),
      button(v.done ? "Open again" : v.entries.length ? "All is labelled" : "Nothing to label here", "f",
        () => say({ do: v.done ? "reopen" : "finish" }), { class: "finish", disabled: !v.width }),
    );
  }

  function drawTools(v) {
    const offered = TOOLS.filter((tool) => tool[0] !== "sam" || v.sam);
    tools.replaceChildren(...offered.map(([id, text, key]) =>
      button(text, key, () => use(id), { "aria-pressed": String(state.tool === id) })),
    make("span", { class: "space" }),
    button("\u2212", "", () => zoom(1.25, [v.width / 2, v.height / 2]), { "aria-label": "Zoom out" }),
    button("+", "", () => zoom(0.8, [v.width / 2, v.height / 2]), { "aria-label": "Zoom in" }));
    const more = " Ctrl and wheel zoom, Shift and drag move.";
    help.textContent = offered.find((tool) => tool[0] === state.tool)[3] + more;
  }

  function drawSide(v) {
    const chip = (c) => make("span", { class: "chip", style: `background:${c.colour}` });
    const field = make("input", { placeholder: "another category", "aria-label": "Another category", size: "16" });
    const names = v.categories.map((c, i) => make("li", {}, button("", "", () => choose(c.id),
      { "aria-pressed": String(state.category === c.id), "data-category": c.name })));
    names.forEach((item, i) => item.firstChild.append(chip(v.categories[i]), v.categories[i].name,
      ...(i < 9 ? [make("kbd", { "aria-hidden": "true" }, String(i + 1))] : [])));
    const form = make("form", { class: "row", onsubmit: (event) => {
      event.preventDefault();
      if (field.value.trim()) say({ do: "category", name: field.value });
    } }, field, make("button", { type: "submit", "aria-label": "Add the category" }, "+"));
    const entries = v.entries.map((e) => make("li", { class: e.id === state.chosen ? "chosen" : "",
      onclick: () => { state.chosen = e.id; drawSide(view()); drawShapes(); } },
    make("span", { class: "kind" }, e.kind),
    make("select", { "aria-label": `Category of entry ${e.id}`,
      onchange: (event) => say({ do: "rename", entry: e.id, category: Number(event.target.value) }) },
    ...v.categories.map((c) => make("option", { value: c.id, ...(c.id === e.category ? { selected: "" } : {}) }, c.name))),
    button("\u2715", "", (event) => { event.stopPropagation(); say({ do: "remove", entry: e.id }); },
      { "aria-label": `Remove entry ${e.id}` })));
    const offers = v.offers.map((o, i) => make("li", {}, button(`${i + 1}: IoU ${o.score.toFixed(2)}, says SAM`, "",
      () => { state.offer = i; draw(); }, { "aria-pressed": String(i === state.offer) })));
    const taking = offers.length ? [make("h4", {}, "SAM offers"), make("ul", {}, ...offers), button("Take it", "Enter", take)] : [];
    side.replaceChildren(make("h4", {}, "Categories"), make("ul", {}, ...names), form, ...taking,
      make("h4", {}, v.entries.length ? "In this image" : "Nothing is labelled here yet"), make("ul", {}, ...entries));
  }

  function outlined(kind, data, colour, css) {
    const group = shape("g", { class: css });
    const both = (tag, attributes) => group.append(
      shape(tag, { ...attributes, class: "under" }), shape(tag, { ...attributes, class: "shape", stroke: colour, fill: colour }));
    if (kind === "box") both("rect", { x: data[0], y: data[1], width: data[2], height: data[3] });
    else if (kind === "point") both("circle", { cx: data[0], cy: data[1], r: (state.window?.[2] ?? view().width) / 120 });
    else both("path", { d: ringPath(data) });
    return group;
  }

  function drawShapes() {
    const v = view();
    const [left, top, width, height] = state.window ?? [0, 0, v.width, v.height];
    svg.setAttribute("viewBox", `${left} ${top} ${Math.max(width, 1)} ${Math.max(height, 1)}`);
    svg.setAttribute("aria-label", `${v.image}: ${v.entries.length} entries`);
    svg.classList.toggle("still", state.tool === "tag");
    const parts = [shape("image", { href: address, x: 0, y: 0, width: v.width, height: v.height, preserveAspectRatio: "none" })];
    for (const e of v.entries) {
      if (e.kind !== "tag") {
        parts.push(outlined(e.kind, e.outline ?? e.box ?? e.point, category(e.category)?.colour ?? "#fff", e.id === state.chosen ? "entry chosen" : "entry"));
      }
    }
    const colour = category(state.category)?.colour ?? "#ffffff";
    const offer = v.offers[state.offer];
    if (offer) parts.push(outlined("mask", offer.outline, colour, "offer"));
    if (state.start && state.at) parts.push(outlined("box", boxBetween(state.start, state.at), colour, "drawn"));
    if (state.ring.length) {
      const ring = state.at ? [...state.ring, state.at] : state.ring;
      parts.push(outlined("mask", [ring.flat()], colour, "drawn"));
    }
    svg.replaceChildren(...parts);
  }

  function draw() {
    const v = view();
    if (state.offer >= v.offers.length) state.offer = 0;
    if (!v.entries.some((e) => e.id === state.chosen)) state.chosen = null;
    if (state.category === null && v.categories.length === 1) state.category = v.categories[0].id;
    const typing = side.contains(document.activeElement) && document.activeElement.tagName === "INPUT";
    const inside = root.contains(document.activeElement);
    drawBar(v);
    drawTools(v);
    drawSide(v);
    drawShapes();
    alert.textContent = state.hint || v.message;
    // What had the focus was made anew; keys must go on working.
    if (typing) side.querySelector("input").focus({ preventScroll: true });
    else if (inside) root.focus({ preventScroll: true });
  }

  function pictureChanged() {
    const bytes = model.get("picture");
    URL.revokeObjectURL(address);
    address = bytes.byteLength ? URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" })) : "";
    state.window = null;
    drop();
    drawShapes();
  }

  model.on("change:picture", pictureChanged);
  model.on("change:view", draw);
  pictureChanged();
  draw();
  return () => {
    model.off("change:picture", pictureChanged);
    model.off("change:view", draw);
    document.removeEventListener("visibilitychange", seen);
    URL.revokeObjectURL(address);
  };
}

export default { render };
