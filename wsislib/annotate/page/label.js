// The labelling page: shows `view` and `picture`, says what the annotator does. All that is kept
// is kept in Python (desk.py); here are only the tool, what is chosen and a drawing not yet done.

const DRAWS_CORNERS = ["outline", "paint", "erase"];

function render({ model, el }) {
  const first = model.get("view").states.includes("p") ? "select" : "box";
  const state = { tool: first, category: null, chosen: null, offer: 0, start: null, at: null, ring: [], stroke: null, brush: 0,
    window: null, pan: null, hint: "", redraw: null, hidden: false, list: false, picks: null, keyed: false };
  let worked = 0; // milliseconds, up to `since`
  let since = Date.now();
  let address = "";

  const root = make("div", { class: "wsis-label", tabindex: "0", role: "application",
    "aria-label": "Labelling page; h lists the keys", "data-lm-suppress-shortcuts": "true" });
  const alert = make("div", { role: "alert" });
  const images = imageList(model, (index) => {
    say({ do: "go", to: index });
    root.focus({ preventScroll: true });
  });
  const { svg, drawWindow, drawShapes, drawLive } = canvas(state, view, () => address);
  const keys = helpTable(() => toggleHelp(false), view().sam);
  keys.hidden = true;
  el.append(root);
  state.list = Boolean(model.thumbnail) && root.clientWidth >= 900;

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
    model.send({ ...message, seconds, image: view().image });
  }

  function view() {
    return model.get("view");
  }
  const chosen = () => view().entries.find((e) => e.id === state.chosen);
  const middle = () => [view().width / 2, view().height / 2];

  function drop() {
    Object.assign(state, { start: null, ring: [], stroke: null });
  }

  function choose(id) {
    Object.assign(state, { category: id, hint: "" });
    if (state.tool === "tag") say({ do: "add", category: id });
    draw();
  }

  function pick(id) {
    Object.assign(state, { chosen: id, hint: "", redraw: null });
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
    if (state.redraw !== null) {
      say({ do: "redraw", entry: state.redraw, ...what });
      state.redraw = null;
    } else if (named()) say({ do: "add", category: state.category, ...what });
  }

  // Paint or erase; painting with no mask chosen begins a new one, which the next strokes go on.
  function brushed(what) {
    const mask = chosen()?.kind === "mask" && state.redraw === null ? state.chosen : null;
    if (mask !== null) say({ do: "edit", op: state.tool, entry: mask, ...what });
    else if (state.tool === "erase") state.hint = "Choose a mask first: j, k, or s and a click.";
    else {
      if (state.redraw === null && state.category !== null) state.picks = view().entries.map((e) => e.id);
      add(what);
    }
  }

  function closeRing() {
    const ring = state.ring.flat();
    drop();
    if (ring.length >= 6) (state.tool === "outline" ? add : brushed)({ polygons: [ring] });
    else state.hint = "An outline needs three corners.";
    draw();
  }

  // What a click does.
  function press(at, target) {
    if (state.tool === "point") add({ point: at });
    else if (state.tool === "sam") {
      state.offer = 0;
      say({ do: "ask", point: at });
    } else if (state.tool === "select") pick(Number(target?.closest?.("[data-entry]")?.dataset.entry ?? NaN));
    else if (DRAWS_CORNERS.includes(state.tool)) state.ring.push(at);
    draw();
  }

  // What a drag does, or two corners by keys.
  function dragged(box) {
    if (state.tool === "box") add({ box });
    else {
      state.offer = 0;
      say({ do: "ask", box });
    }
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
      if (state.tool === "paint" || state.tool === "erase") state.stroke = [at];
      else if (state.tool === "box" || state.tool === "sam") Object.assign(state, { start: at, at });
      else press(at, event.target);
      drawLive();
    }
  });
  svg.addEventListener("pointermove", (event) => {
    if (state.pan && state.window) {
      const scale = state.window[2] / svg.getBoundingClientRect().width;
      state.window[0] -= (event.clientX - state.pan[0]) * scale;
      state.window[1] -= (event.clientY - state.pan[1]) * scale;
      state.pan = [event.clientX, event.clientY];
      drawWindow();
      return;
    }
    Object.assign(state, { at: place(event), keyed: false });
    if (state.stroke) state.stroke.push(state.at);
    drawLive();
  });
  svg.addEventListener("pointerup", (event) => {
    state.pan = null;
    const [start, stroke, end] = [state.start, state.stroke, place(event)];
    const far = ([x, y]) => Math.max(Math.abs(x - end[0]), Math.abs(y - end[1])) > view().width / 200;
    Object.assign(state, { start: null, stroke: null });
    if (stroke && stroke.some(far)) {
      state.ring = [];
      brushed({ stroke: [...stroke, end].flat(), width: state.brush });
      draw();
    } else if (stroke) press(end);
    else if (start && far(start)) dragged(boxBetween(start, end));
    else if (start && state.tool === "sam") press(end);
    else drawLive();
  });
  svg.addEventListener("pointercancel", () => {
    Object.assign(state, { pan: null, start: null, stroke: null });
    drawLive();
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
    drawWindow();
    drawShapes();
  }

  // The cross that keys move; where it leaves the part that is seen, that part follows.
  function cross(key) {
    const { width, height } = view();
    const [left, top, w, h] = state.window ?? [0, 0, width, height];
    const step = w / 50;
    const [dx, dy] = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[key];
    const [x, y] = state.at ?? [left + w / 2, top + h / 2];
    state.at = [Math.min(Math.max(x + dx, 0), width), Math.min(Math.max(y + dy, 0), height)];
    state.keyed = true;
    if (state.window) {
      state.window[0] += Math.min(state.at[0] - left, 0) + Math.max(state.at[0] - left - w, 0);
      state.window[1] += Math.min(state.at[1] - top, 0) + Math.max(state.at[1] - top - h, 0);
      drawWindow();
    }
    drawLive();
  }

  function pressCross() {
    if (!view().width) return;
    state.at ??= middle();
    if (state.tool === "box" && !state.start) state.start = state.at;
    else if (state.tool === "box") {
      const box = boxBetween(state.start, state.at);
      state.start = null;
      dragged(box);
    } else {
      const on = new DOMPoint(...state.at).matrixTransform(svg.getScreenCTM());
      press(state.at, document.elementFromPoint(on.x, on.y));
    }
    drawLive();
  }

  function walk(step) {
    const ids = view().entries.map((e) => e.id);
    const offers = view().offers.length;
    if (offers) {
      state.offer = (state.offer + step + offers) % offers;
      draw();
    } else if (ids.length) {
      const at = ids.indexOf(state.chosen);
      pick(ids[at < 0 ? (step > 0 ? 0 : ids.length - 1) : (at + step + ids.length) % ids.length]);
      side.querySelector("li.chosen")?.scrollIntoView({ block: "nearest" });
    }
  }

  function ofChosen(action, needed = () => true, missing = "Choose an entry first: j, k, or s and a click.") {
    if (chosen() && needed(chosen())) action(state.chosen);
    else state.hint = missing;
    draw();
  }

  function brush(factor) {
    state.brush = Math.min(Math.max(state.brush * factor, 1), view().width / 2);
    drawLive();
  }

  function toggleHelp(open = keys.hidden) {
    keys.hidden = !open;
    (open ? keys.querySelector("button") : root).focus({ preventScroll: true });
  }

  const ACTS = {
    next: () => say({ do: "go", to: "next" }),
    previous: () => say({ do: "go", to: "previous" }),
    unfinished: () => say({ do: "go", to: "unfinished" }),
    images: () => {
      state.list = true;
      draw();
      images.field.focus();
      images.field.select();
    },
    closeImages: () => {
      state.list = false;
      draw();
    },
    finish: () => say({ do: view().done ? "reopen" : "finish" }),
    tool: (name) => use(name),
    thinner: () => brush(0.8),
    thicker: () => brush(1.25),
    cross: (key) => cross(key.split("+")[1]),
    press: pressCross,
    enter: () => (view().offers.length ? take() : state.ring.length && closeRing()),
    back: () => {
      if (!state.ring.length) return state.chosen !== null && ACTS.remove();
      state.ring.pop();
      return drawLive();
    },
    escape: () => {
      if (!keys.hidden) toggleHelp(false);
      drop();
      Object.assign(state, { redraw: null, hint: "" });
      pick(null);
    },
    category: (key) => {
      const known = view().categories[Number(key) - 1];
      if (known) choose(known.id);
    },
    categories: () => side.querySelector("input").focus(),
    down: () => walk(1),
    up: () => walk(-1),
    rename: () => ofChosen((entry) => named() && say({ do: "rename", entry, category: state.category })),
    redraw: () => ofChosen((entry) => Object.assign(state, { redraw: entry, hint: "The next drawing takes the place of the chosen entry." })),
    remove: () => ofChosen((entry) => say({ do: "remove", entry })),
    accept: () => ofChosen((entry) => say({ do: "accept", entry }), isProposal, "Choose a proposal first: j, k, or s and a click."),
    acceptAll: () => say({ do: "accept" }),
    dismissAll: () => say({ do: "dismiss" }),
    undo: () => say({ do: "undo" }),
    redo: () => say({ do: "redo" }),
    zoomIn: () => zoom(0.8, state.at ?? middle()),
    zoomOut: () => zoom(1.25, state.at ?? middle()),
    zoomAll: () => zoom(Infinity, middle()),
    hide: () => {
      state.hidden = !state.hidden;
      drawShapes();
    },
    help: () => toggleHelp(),
  };

  const { bar, tools, side, help, drawPanels } = panels(state, view, ACTS, { say, choose, pick, use, take, draw, typed });
  root.append(bar, tools, make("div", { class: "table" }, images.element, svg, side), alert, help, keys);

  root.addEventListener("keydown", (event) => {
    const { tagName } = event.target;
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(tagName)) {
      if (event.key === "Escape") root.focus({ preventScroll: true });
      event.stopPropagation();
      return;
    }
    if (tagName === "BUTTON" && (event.key === "Enter" || event.key === " ")) return; // presses it
    const key = keyOf(event);
    const [name, tool] = (event.altKey ? "" : BY_KEY.get(key) ?? "").split(":");
    if (!name || (tool === "sam" && !view().sam)) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.repeat && !HELD.has(name)) return;
    ACTS[name](tool ?? key);
  });

  function take() {
    if (named()) say({ do: "choose", category: state.category, offer: state.offer });
    else draw();
  }

  // A name that is typed: a category that is known, or one more.
  function typed(name) {
    const known = view().categories.find((c) => c.name === name.trim());
    if (known) choose(known.id);
    else if (name.trim()) say({ do: "category", name });
    if (known) root.focus({ preventScroll: true });
  }

  function draw() {
    const v = view();
    if (state.offer >= v.offers.length) state.offer = 0;
    if (state.picks && v.entries.length > state.picks.length) {
      state.chosen = v.entries.find((e) => !state.picks.includes(e.id)).id;
      state.picks = null;
    }
    if (!v.entries.some((e) => e.id === state.chosen)) state.chosen = null;
    if (state.category === null && v.categories.length === 1) state.category = v.categories[0].id;
    const focused = root.contains(document.activeElement) ? document.activeElement : null;
    const id = focused?.dataset.f;
    drawPanels(v);
    drawWindow();
    drawShapes();
    drawLive();
    images.element.hidden = !state.list;
    images.update(v);
    alert.textContent = state.hint || v.message;
    // What had the focus was made anew; keys must go on working.
    if (focused && !focused.isConnected) {
      const again = id && root.querySelector(`[data-f="${CSS.escape(id)}"]:not(:disabled)`);
      (again || root).focus({ preventScroll: true });
    }
  }

  function pictureChanged() {
    const bytes = model.get("picture");
    URL.revokeObjectURL(address);
    address = bytes.byteLength ? URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" })) : "";
    Object.assign(state, { at: null, window: null, redraw: null, picks: null, brush: Math.max(view().width / 40, 2) });
    drop();
    drawWindow();
    drawShapes();
    drawLive();
  }

  model.on("change:picture", pictureChanged);
  model.on("change:view", draw);
  pictureChanged();
  draw();
  images.find();
  images.update(view());
  return () => {
    model.off("change:picture", pictureChanged);
    model.off("change:view", draw);
    document.removeEventListener("visibilitychange", seen);
    URL.revokeObjectURL(address);
    images.end();
  };
}

export default { render };
