// The picture with what is labelled on it, and above it what moves with the pointer.

function canvas(state, view, address) {
  const shapes = shape("g", {});
  const live = shape("g", {});
  const svg = shape("svg", { role: "img", preserveAspectRatio: "xMidYMid meet" }, shapes, live);
  const radius = () => (state.window?.[2] ?? view().width) / 120;
  const colourOf = (id) => view().categories.find((c) => c.id === id)?.colour ?? "#ffffff";

  function drawWindow() {
    const [left, top, width, height] = state.window ?? [0, 0, view().width, view().height];
    svg.setAttribute("viewBox", `${left} ${top} ${Math.max(width, 1)} ${Math.max(height, 1)}`);
  }

  function drawShapes() {
    const v = view();
    svg.setAttribute("aria-label", `${v.image}: ${v.entries.length} entries`);
    svg.setAttribute("class", ["tag", "select"].includes(state.tool) ? "still" : "");
    const parts = [shape("image", { href: address(), x: 0, y: 0, width: v.width, height: v.height, preserveAspectRatio: "none" })];
    for (const e of state.hidden ? [] : v.entries) {
      if (e.kind === "tag") continue;
      const css = `entry${e.id === state.chosen ? " chosen" : ""}${isProposal(e) ? " proposal" : ""}`;
      const one = outlined(e.kind, e.outline ?? e.box ?? e.point, colourOf(e.category), css, radius());
      one.dataset.entry = e.id;
      parts.push(one);
    }
    const offer = v.offers[state.offer];
    if (offer) parts.push(outlined("mask", offer.outline, colourOf(state.category), "offer"));
    shapes.replaceChildren(...parts);
  }

  function drawLive() {
    const colour = colourOf(state.category);
    const parts = [];
    if (state.start && state.at) parts.push(outlined("box", boxBetween(state.start, state.at), colour, "drawn"));
    if (state.ring.length) {
      const ring = state.at ? [...state.ring, state.at] : state.ring;
      parts.push(outlined("mask", [ring.flat()], colour, "drawn"));
    }
    if (state.stroke) {
      const points = state.stroke.map((at) => at.join(",")).join(" ");
      parts.push(shape("polyline", { class: "stroke", points, "stroke-width": state.brush, stroke: state.tool === "erase" ? "#000000" : colour }));
    }
    if (state.at && view().width) {
      const [[x, y], long] = [state.at, radius() * 2];
      if (state.keyed) parts.push(shape("path", { class: "cross", d: `M${x - long},${y}H${x + long}M${x},${y - long}V${y + long}` }));
      if (["paint", "erase"].includes(state.tool)) parts.push(shape("circle", { class: "cross", cx: x, cy: y, r: state.brush / 2 }));
    }
    live.replaceChildren(...parts);
  }

  return { svg, drawWindow, drawShapes, drawLive };
}
