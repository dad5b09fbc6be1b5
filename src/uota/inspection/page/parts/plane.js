// The embedding map: a point for each view, a cross for each image's centre, and the picture of the view pointed at.

/** A colour from orange at weight 0 through grey at 1 to blue at 2, distinguishable with any colour vision. */
const colourOf = (weight) => {
  const end = weight < 1 ? "var(--bad)" : "var(--good)";
  return `color-mix(in oklab, ${end} ${(100 * Math.min(1, Math.abs(weight - 1))).toFixed(0)}%, var(--middle))`;
};

const map = { plane: 0, chosen: null, points: [], redraw: null };

function drawMap() {
  byId("map-lead").textContent = `The views of the gallery (points) and the centres of their images (crosses), in two of ${data.space}. ` +
    "Point at a view to see it; with the map in focus, ← and → step through the views by weight, and Enter opens one.";
  const body = byId("map-body");
  if (data.planes.length > 1)
    body.append(el("fieldset", { class: "inline", style: "border:0;padding:0;margin:0" }, el("legend", { class: "visually-hidden" }, "Projection"),
      data.planes.map((plane, place) => el("label", { class: "choice" },
        el("input", { type: "radio", name: "plane", checked: place === 0, onchange: () => { map.plane = place; map.redraw(); } }), plane.name))));
  const host = el("div", { class: "map" }), tip = el("div", { class: "tip", hidden: true });
  host.append(tip);
  body.append(host, el("div", { class: "ramp" }, "weight 0", el("i", { style: `background:linear-gradient(to right, ${[0, 0.5, 1, 1.5, 2].map(colourOf)})` }), "2 and more",
    el("span", {}, data.planes.length > 1 ? "" : data.planes[0].name)));
  map.redraw = chart(host, Math.min(560, Math.round(window.innerHeight * 0.7)), "Map of the embeddings of views", drawPoints);
  const canvas = host.querySelector("svg");
  canvas.setAttribute("tabindex", "0");
  canvas.addEventListener("pointermove", (event) => point(nearest(event.offsetX, event.offsetY), host, tip));
  canvas.addEventListener("pointerleave", () => point(null, host, tip));
  canvas.addEventListener("click", () => map.chosen != null && openDetail(map.chosen));
  canvas.addEventListener("blur", () => point(null, host, tip));
  canvas.addEventListener("keydown", (event) => walk(event, host, tip));
  onWeights(() => map.points.forEach(({ node, index }) => node.style.setProperty("fill", colourOf(state.weights[index]))));
}

function drawPoints(canvas, width, height) {
  const { views, centres } = data.planes[map.plane], pad = 18;
  const xs = views.map((p) => p[0]), ys = views.map((p) => p[1]);
  const across = linear([Math.min(...xs), Math.max(...xs)], [pad, width - pad]), up = linear([Math.min(...ys), Math.max(...ys)], [height - pad, pad]);
  for (const [x, y] of centres)
    canvas.append(svg("path", { d: `M${across(x) - 3} ${up(y)}h6M${across(x)} ${up(y) - 3}v6`, stroke: "var(--muted)", "stroke-width": 1 }));
  map.points = views.map(([x, y], index) => {
    const node = svg("circle", { cx: across(x).toFixed(1), cy: up(y).toFixed(1), r: 4, style: `fill:${colourOf(state.weights[index])}`, stroke: "var(--surface)", "stroke-width": 0.8 });
    return { node, index, x: across(x), y: up(y) };
  });
  canvas.append(...map.points.map(({ node }) => node));
}

function nearest(x, y) {
  let best = null, least = 22 ** 2;
  for (const one of map.points) {
    const far = (one.x - x) ** 2 + (one.y - y) ** 2;
    if (far < least) [best, least] = [one.index, far];
  }
  return best;
}

function point(index, host, tip) {
  if (map.chosen != null) map.points[map.chosen].node.setAttribute("r", 4);
  map.chosen = index;
  tip.hidden = index == null;
  if (index == null) return;
  const { node, x, y } = map.points[index], image = Math.floor(index / data.views), label = className(image);
  node.setAttribute("r", 8);
  tip.replaceChildren(picture(shown.pictures[index], `${data.kinds[index % data.views]} view`, data.sizes[index % data.views]),
    el("div", {}, `${label ?? shown.names[image]}: ${weightWords(index)}`));
  tip.style.left = `${clamp(x + 14, 4, host.clientWidth - tip.offsetWidth - 4)}px`;
  tip.style.top = `${clamp(y + 14 + tip.offsetHeight > host.clientHeight ? y - tip.offsetHeight - 14 : y + 14, 4, host.clientHeight - tip.offsetHeight - 4)}px`;
  host.querySelector("svg").setAttribute("aria-label", `View of ${shown.names[image]}, ${weightWords(index)}`);
}

function walk(event, host, tip) {
  const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (event.key === "Enter" && map.chosen != null) openDetail(map.chosen);
  if (!by) return;
  event.preventDefault();
  const order = map.points.map((one) => one.index).sort((a, b) => state.weights[a] - state.weights[b]);
  point(order[map.chosen == null ? 0 : (order.indexOf(map.chosen) + by + order.length) % order.length], host, tip);
}
