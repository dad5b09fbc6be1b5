// The embedding map: a point for each view, a cross for each image's centre, and the picture of the view pointed at.

/** A colour from orange at weight 0 through grey at 1 to blue at 2, distinguishable with any colour vision. */
const colourOf = (weight) => {
  const end = weight < 1 ? "var(--bad)" : "var(--good)";
  return `color-mix(in oklab, ${end} ${(100 * Math.min(1, Math.abs(weight - 1))).toFixed(0)}%, var(--middle))`;
};

const map = { plane: 0, chosen: null, points: [], redraw: null };
for (const plane of data.planes) for (const name of ["views", "centres"]) plane[name] = unpack(plane[name]);

function mapWords() {
  const all = data.mapped.length === data.images;
  const axes = data.planes.length > 1 ? "axes by UMAP or by principal components" : "the axes are principal components (UMAP is drawn where umap-learn is installed)";
  return `The views (points) of ${all ? `all ${whole(data.images)}` : `${whole(data.mapped.length)} of the ${whole(data.images)}`} ${WHAT}` +
    `${all ? "" : ", the most unusual and a random sample of the others,"} and the centres of their images (crosses) in the space of the arbiter (${data.space}); ${axes}. ` +
    "Point at a view to see it; with the map in focus, ← and → step through the views by weight, and Enter opens one.";
}

function drawMap() {
  byId("map-lead").textContent = mapWords();
  const body = byId("map-body");
  if (data.planes.length > 1)
    body.append(el("fieldset", { class: "inline", style: "border:0;padding:0;margin:0" }, el("legend", { class: "visually-hidden" }, "Projection"),
      data.planes.map((plane, place) => el("label", { class: "choice" },
        el("input", { type: "radio", name: "plane", checked: place === 0, onchange: () => { map.plane = place; map.redraw(); } }), plane.name))));
  const host = el("div", { class: "map" }), tip = el("div", { class: "tip", hidden: true });
  host.append(tip);
  body.append(host, el("div", { class: "ramp" }, "weight 0", el("i", { style: `background:linear-gradient(to right, ${[0, 0.5, 1, 1.5, 2].map(colourOf)})` }), "2 and more"));
  map.redraw = chart(host, Math.min(560, Math.round(window.innerHeight * 0.7)), "Map of the embeddings of views", drawPoints);
  const canvas = host.querySelector("svg");
  canvas.setAttribute("tabindex", "0");
  canvas.addEventListener("pointermove", (event) => point(nearest(event.offsetX, event.offsetY), host, tip));
  canvas.addEventListener("pointerleave", () => point(null, host, tip));
  canvas.addEventListener("click", () => map.chosen != null && openDetail(map.points[map.chosen].index));
  canvas.addEventListener("blur", () => point(null, host, tip));
  canvas.addEventListener("keydown", (event) => walk(event, host, tip));
  onWeights(() => map.points.forEach(({ node, index }) => node.style.setProperty("fill", colourOf(state.weights[index]))));
}

/** The x and y of all points, from the numbers of a plane, in which they alternate. */
const unzip = (numbers) => [0, 1].map((axis) => Array.from({ length: numbers.length / 2 }, (_, place) => numbers[2 * place + axis]));

function domainOf(values) {
  const low = Math.min(...values), high = Math.max(...values), room = 0.03 * (high - low || 1);
  return [low - room, high + room];
}

function drawPoints(canvas, width, height) {
  const plane = data.planes[map.plane], [xs, ys] = unzip(plane.views), [left, top] = unzip(plane.centres);
  const { across, up } = axes(canvas, width, height, { domain: domainOf(xs), label: plane.axes[0] }, { domain: domainOf(ys), label: plane.axes[1] });
  left.forEach((x, place) =>
    canvas.append(svg("path", { d: `M${across(x) - 3} ${up(top[place])}h6M${across(x)} ${up(top[place]) - 3}v6`, stroke: "var(--muted)", "stroke-width": 1 })));
  map.chosen = null;
  map.points = xs.map((x, place) => {
    const index = at(data.mapped[Math.floor(place / data.views)], place % data.views);
    const node = svg("circle", { cx: across(x).toFixed(1), cy: up(ys[place]).toFixed(1), r: 4, style: `fill:${colourOf(state.weights[index])}`, stroke: "var(--surface)", "stroke-width": 0.8 });
    return { node, index, x: across(x), y: up(ys[place]) };
  });
  canvas.append(...map.points.map(({ node }) => node));
}

/** Place of the nearest point within reach. */
function nearest(x, y) {
  let best = null, least = 22 ** 2;
  map.points.forEach((one, place) => {
    const far = (one.x - x) ** 2 + (one.y - y) ** 2;
    if (far < least) [best, least] = [place, far];
  });
  return best;
}

function point(place, host, tip) {
  if (map.chosen != null) map.points[map.chosen].node.setAttribute("r", 4);
  map.chosen = place;
  tip.hidden = place == null;
  if (place == null) return;
  const { node, index, x, y } = map.points[place], image = imageOf(index), name = data.names[image];
  node.setAttribute("r", 8);
  fill(tip, {}, [viewPicture(index), el("div", {}, `${className(image) ?? name}: ${verdictWords(index)}`)]);
  tip.style.left = `${clamp(x + 14, 4, host.clientWidth - tip.offsetWidth - 4)}px`;
  tip.style.top = `${clamp(y + 14 + tip.offsetHeight > host.clientHeight ? y - tip.offsetHeight - 14 : y + 14, 4, host.clientHeight - tip.offsetHeight - 4)}px`;
  host.querySelector("svg").setAttribute("aria-label", `View of ${name}, ${verdictWords(index)}`);
}

function walk(event, host, tip) {
  const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (event.key === "Enter" && map.chosen != null) openDetail(map.points[map.chosen].index);
  if (!by) return;
  event.preventDefault();
  const order = map.points.map((_, place) => place).sort((a, b) => worse(map.points[a].index, map.points[b].index));
  point(order[map.chosen == null ? 0 : (order.indexOf(map.chosen) + by + order.length) % order.length], host, tip);
}
