// What stands around the picture: bar, tools, categories and entries.

const TOOLS = [
  ["tag", "Tag", "t", "Choose a category: the image shows it."],
  ["point", "Point", "p", "Click on an object."],
  ["box", "Box", "b", "Drag from corner to corner."],
  ["outline", "Outline", "o", "Click from corner to corner of the outline; Enter closes it."],
  ["paint", "Paint", "a", "Drag the brush, or click corners and Enter: onto the chosen mask, or a new one."],
  ["erase", "Erase", "e", "Drag the brush, or click corners and Enter: holes into the chosen mask."],
  ["sam", "SAM mask", "m", "Click on an object, or drag a box around it; \u2191 \u2193 change the offer, Enter takes it."],
  ["select", "Select", "s", "Click on an entry in the picture."],
];
const isProposal = (e) => e.score !== undefined;

function panels(state, view, ACTS, { say, choose, pick, use, take, draw, typed }) {
  const namesId = `wsis-names-${Math.random()}`; // a notebook may hold several pages
  const bar = make("div", { class: "row bar" });
  const tools = make("div", { class: "row tools", role: "toolbar", "aria-label": "Tools" });
  const side = make("div", { class: "side" });
  const help = make("div", { class: "help" });

  function drawBar(v) {
    const waiting = [...v.states].filter((s) => s === "p").length;
    const proposed = waiting ? `, ${waiting} with proposals` : "";
    const all = v.done ? "Open again" : v.entries.length ? "All is labelled" : "Nothing to label here";
    bar.replaceChildren(
      button("previous", "Previous", "\u2190", ACTS.previous),
      button("next", "Next", "\u2192", ACTS.next),
      button("unfinished", "Next unfinished", "u", ACTS.unfinished, { disabled: v.finished === v.count }),
      button("images", "Images", "i", state.list ? ACTS.closeImages : ACTS.images, { "aria-pressed": String(state.list) }),
      make("span", { class: "at", title: v.image }, `${v.image} (${v.index + 1} of ${v.count})`),
      make("span", { class: "finished" }, `${v.finished} of ${v.count} finished${proposed}`),
      button("undo", "Undo", "Ctrl Z", ACTS.undo, { disabled: !v.undo }),
      button("redo", "Redo", "Ctrl Y", ACTS.redo, { disabled: !v.redo }),
      button("finish", all, "f", ACTS.finish, { class: "finish", disabled: !v.width }),
    );
  }

  function drawTools(v) {
    const offered = TOOLS.filter((tool) => tool[0] !== "sam" || v.sam);
    tools.replaceChildren(...offered.map(([id, text, key]) =>
      button(id, text, key, () => use(id), { "aria-pressed": String(state.tool === id) })),
    make("span", { class: "space" }),
    button("out", "\u2212", "", ACTS.zoomOut, { "aria-label": "Zoom out" }),
    button("in", "+", "", ACTS.zoomIn, { "aria-label": "Zoom in" }),
    button("help", "Keys", "h", ACTS.help));
    help.textContent = offered.find((tool) => tool[0] === state.tool)[3];
  }

  function drawSide(v) {
    const chip = (c) => {
      const one = make("span", { class: "chip" });
      one.style.background = c.colour;
      return one;
    };
    const field = make("input", { placeholder: "name of a category", "aria-label": "Another category", size: "14", list: namesId, "data-f": "category" });
    const names = v.categories.map((c, i) => make("li", {}, make("button", { type: "button", onclick: () => choose(c.id),
      "aria-pressed": String(state.category === c.id), "data-category": c.name, "data-f": `category ${c.id}` },
    chip(c), c.name, ...(i < 9 ? [kbd(String(i + 1))] : []))));
    const form = make("form", { class: "row", onsubmit: (event) => {
      event.preventDefault();
      typed(field.value);
    } }, field, make("datalist", { id: namesId }, ...v.categories.map((c) => make("option", { value: c.name }))),
    make("button", { type: "submit", "aria-label": "Choose or add the category" }, "+"), kbd("c"));
    const entries = v.entries.map((e) => make("li", { class: `${e.id === state.chosen ? "chosen" : ""}${isProposal(e) ? " proposal" : ""}`, onclick: () => pick(e.id) },
      make("span", { class: "kind" }, isProposal(e) ? `${e.kind}? ${e.score.toFixed(2)}` : e.kind),
      make("select", { "aria-label": `Category of entry ${e.id}`, "data-f": `name ${e.id}`,
        onchange: (event) => say({ do: "rename", entry: e.id, category: Number(event.target.value) }) },
      ...v.categories.map((c) => make("option", { value: c.id, ...(c.id === e.category ? { selected: "" } : {}) }, c.name))),
      ...(isProposal(e) ? [button(`accept ${e.id}`, "\u2713", "", (event) => { event.stopPropagation(); say({ do: "accept", entry: e.id }); },
        { "aria-label": `Accept proposal ${e.id}` })] : []),
      button(`remove ${e.id}`, "\u2715", "", (event) => { event.stopPropagation(); say({ do: "remove", entry: e.id }); },
        { "aria-label": `Remove entry ${e.id}` })));
    const offers = v.offers.map((o, i) => make("li", {}, button(`offer ${i}`, `${i + 1}: IoU ${o.score.toFixed(2)}, says SAM`, "",
      () => { state.offer = i; draw(); }, { "aria-pressed": String(i === state.offer) })));
    const taking = offers.length ? [make("h4", {}, "SAM offers"), make("ul", {}, ...offers), button("take", "Take it", "Enter", take)] : [];
    const proposed = v.entries.filter(isProposal).length;
    const deciding = proposed ? [make("div", { class: "row" }, button("acceptAll", "Accept all", "Shift Y", ACTS.acceptAll),
      button("dismissAll", "Remove all", "Shift X", ACTS.dismissAll))] : [];
    const title = proposed ? `In this image; ${proposed} proposed` : v.entries.length ? "In this image" : "Nothing is labelled here yet";
    side.replaceChildren(make("h4", {}, "Categories"), make("ul", {}, ...names), form, ...taking,
      make("h4", {}, title), ...deciding, make("ul", {}, ...entries));
  }

  const drawPanels = (v) => [drawBar, drawTools, drawSide].forEach((one) => one(v));
  return { bar, tools, side, help, drawPanels };
}
