// Every key of the page: what the help lists is what the keys do.

// Keys, name of the action in label.js, what the help says of it; a line of one word is a heading.
const KEYS = [
  ["Images"],
  [["ArrowRight"], "next", "next image"],
  [["ArrowLeft"], "previous", "previous image"],
  [["u"], "unfinished", "next image that is not finished"],
  [["i"], "images", "the list of images, to find one by its name"],
  [["Shift+i"], "closeImages", "hide that list"],
  [["f"], "finish", "all is labelled, next image; of a finished one: open it again"],
  ["Tools"],
  [["t"], "tool:tag", "tag: the image shows the category"],
  [["p"], "tool:point", "point"],
  [["b"], "tool:box", "box"],
  [["o"], "tool:outline", "outline"],
  [["a"], "tool:paint", "paint a mask, or add to the chosen one"],
  [["e"], "tool:erase", "erase from the chosen mask: holes, too much"],
  [["m"], "tool:sam", "SAM mask"],
  [["s"], "tool:select", "select an entry in the picture"],
  [[","], "thinner", "thinner brush"],
  [["."], "thicker", "thicker brush"],
  ["Drawing"],
  [["Shift+ArrowLeft", "Shift+ArrowRight", "Shift+ArrowUp", "Shift+ArrowDown"], "cross", "move the cross over the picture"],
  [[" "], "press", "what a click does, at the cross; of a box each of two corners"],
  [["Enter"], "enter", "close the outline, take SAM's offer"],
  [["Backspace"], "back", "take the last corner back; without a drawing, remove the chosen entry"],
  [["Escape"], "escape", "drop the drawing, choose nothing, close the help"],
  ["Entries"],
  [["1", "2", "3", "4", "5", "6", "7", "8", "9"], "category", "choose a category"],
  [["c"], "categories", "type the name of a category, known or new"],
  [["j", "ArrowDown"], "down", "choose the next entry, or SAM's next offer"],
  [["k", "ArrowUp"], "up", "choose the one before"],
  [["r"], "rename", "give the chosen entry the chosen category"],
  [["w"], "redraw", "draw the chosen entry anew: the next drawing takes its place"],
  [["Delete", "x"], "remove", "remove the chosen entry or proposal"],
  [["y"], "accept", "accept the chosen proposal"],
  [["Shift+y"], "acceptAll", "accept all proposals"],
  [["Shift+Delete", "Shift+x"], "dismissAll", "remove all proposals"],
  [["Ctrl+z"], "undo", "undo"],
  [["Ctrl+y", "Ctrl+Shift+z"], "redo", "redo"],
  ["View"],
  [["+", "="], "zoomIn", "larger; also Ctrl and wheel, and Shift and drag to move"],
  [["-"], "zoomOut", "smaller"],
  [["0"], "zoomAll", "the whole picture"],
  [["v"], "hide", "hide what is labelled, or show it"],
  [["h", "?"], "help", "this help"],
];
const BY_KEY = new Map(KEYS.flatMap(([keys, act]) => (act ? keys.map((key) => [key, act]) : [])));
// A key that is held goes on with these only, so that nobody finishes ten images at once.
const HELD = new Set(["next", "previous", "down", "up", "cross", "zoomIn", "zoomOut", "thinner", "thicker", "undo", "redo"]);
const SHOWN = { ArrowRight: "\u2192", ArrowLeft: "\u2190", ArrowUp: "\u2191", ArrowDown: "\u2193", " ": "Space" };

// The key of an event as it stands above. On keyboards of other scripts a letter is where it is.
function keyOf(event) {
  const foreign = event.key.length === 1 && event.key > "~" && event.code.startsWith("Key");
  const key = foreign ? event.code.slice(3) : event.key;
  const plain = key.length === 1 ? key.toLowerCase() : key;
  const shift = event.shiftKey && (plain.length > 1 || /[a-z]/.test(plain));
  return `${event.ctrlKey || event.metaKey ? "Ctrl+" : ""}${shift ? "Shift+" : ""}${plain}`;
}

function helpTable(close, sam) {
  const written = (key) => key.split(/\+(?=.)/).map((part) => SHOWN[part] ?? part).join(" ");
  const lines = KEYS.filter((line) => sam || line[1] !== "tool:sam").map(([keys, act, text]) => (act
    ? make("div", { class: "line", "data-act": act }, make("span", { class: "keys" }, ...keys.map((key) => make("kbd", {}, written(key)))), make("span", {}, text))
    : make("h4", {}, keys)));
  return make("div", { class: "keyhelp", role: "dialog", "aria-label": "Keys" },
    make("div", { class: "lines" }, ...lines), button("close", "Close", "Esc", close));
}
