// The labelling page, first part: elements and shapes.

const SVG = "http://www.w3.org/2000/svg";

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

function shape(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const kbd = (key) => make("kbd", { "aria-hidden": "true" }, key);

// `id` says which button it is after everything was drawn anew, so that it can keep the focus.
function button(id, text, key, action, attributes = {}) {
  const label = key ? [text, kbd(key)] : [text];
  return make("button", { type: "button", onclick: action, "data-f": id, ...attributes }, ...label);
}

function ringPath(rings) {
  const corners = (ring) => ring.flatMap((x, i) => (i % 2 ? [] : [`${x},${ring[i + 1]}`]));
  return rings.map((ring) => `M${corners(ring).join("L")}Z`).join("");
}

const boxBetween = ([x0, y0], [x1, y1]) =>
  [Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0)];

// A shape in its colour over a dark line, so that it is seen on any picture.
function outlined(kind, data, colour, css, radius) {
  const group = shape("g", { class: css });
  const both = (tag, attributes) => group.append(
    shape(tag, { ...attributes, class: "under" }), shape(tag, { ...attributes, class: "shape", stroke: colour, fill: colour }));
  if (kind === "box") both("rect", { x: data[0], y: data[1], width: data[2], height: data[3] });
  else if (kind === "point") both("circle", { cx: data[0], cy: data[1], r: radius });
  else both("path", { d: ringPath(data) });
  return group;
}
