// The list of images. Of thousands only the rows in sight exist; thumbnails come one at a time.

const STATES = { f: ["\u2713", "finished"], p: ["?", "has proposals"], d: ["\u2026", "begun"], ".": ["", "not labelled"] };
const KEPT_THUMBNAILS = 400;

function imageList(model, open) {
  const rowHeight = model.thumbnail ? 52 : 24;
  const field = make("input", { type: "search", placeholder: "find an image", "aria-label": "Find an image", "data-f": "find" });
  const spacer = make("div", { class: "spacer" });
  const scroller = make("div", { class: "scroller" }, spacer);
  const element = make("div", { class: "images" }, field, scroller);
  const pictures = new Map(); // index -> address, the latest last
  let [found, current, states, busy] = [[], -1, "", false];

  function find() {
    const words = field.value.trim().toLowerCase();
    found = model.get("files").flatMap((name, i) => (name.toLowerCase().includes(words) ? [i] : []));
    spacer.style.height = `${found.length * rowHeight}px`;
    rows();
  }

  function inSight() {
    const first = Math.max(Math.floor(scroller.scrollTop / rowHeight) - 2, 0);
    return found.slice(first, first + Math.ceil(scroller.clientHeight / rowHeight) + 4).map((index, i) => [index, first + i]);
  }

  function rows() {
    if (!element.isConnected || element.hidden) return;
    spacer.replaceChildren(...inSight().map(([index, place]) => {
      const name = model.get("files")[index];
      const [mark, meaning] = STATES[states[index]] ?? STATES["."];
      const row = make("button", { type: "button", tabindex: "-1", title: name, "data-index": index, "data-state": states[index],
        "aria-label": `${name}, ${meaning}`, "aria-current": String(index === current), onclick: () => open(index) });
      row.style.top = `${place * rowHeight}px`;
      row.style.height = `${rowHeight - 2}px`;
      if (model.thumbnail) row.append(make("img", { alt: "", ...(pictures.has(index) ? { src: pictures.get(index) } : {}) }));
      row.append(make("span", { class: "name" }, name), make("span", { class: "mark" }, mark));
      return row;
    }));
    load();
  }

  async function load() {
    if (!model.thumbnail || busy) return;
    busy = true;
    for (;;) {
      const next = inSight().find(([index]) => !pictures.has(index));
      if (!next || !element.isConnected || element.hidden) break;
      pictures.set(next[0], await model.thumbnail(next[0]));
      for (const [index, address] of pictures) {
        if (pictures.size <= KEPT_THUMBNAILS) break;
        URL.revokeObjectURL(address);
        pictures.delete(index);
      }
      const image = spacer.querySelector(`[data-index="${next[0]}"] img`);
      if (image && pictures.get(next[0])) image.src = pictures.get(next[0]);
    }
    busy = false;
  }

  function update(view) {
    const moved = view.index !== current;
    [current, states] = [view.index, view.states];
    const place = found.indexOf(current) * rowHeight;
    if (moved && place >= 0 && (place < scroller.scrollTop || place + rowHeight > scroller.scrollTop + scroller.clientHeight)) {
      scroller.scrollTop = place - scroller.clientHeight / 2;
    }
    rows();
  }

  scroller.addEventListener("scroll", rows);
  field.addEventListener("input", () => {
    scroller.scrollTop = 0;
    find();
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && found.length) open(found[0]);
  });
  const end = () => {
    element.hidden = true;
    pictures.forEach((address) => URL.revokeObjectURL(address));
  };
  return { element, field, find, update, end };
}
