// Small SVG charts, redrawn when their width changes.

const linear = ([a, b], [from, to]) => (x) => from + ((x - a) / (b - a || 1)) * (to - from);

/** Return about `count` round numbers between low and high. */
function ticks(low, high, count) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((one) => one >= rough * 0.7);
  const made = [];
  for (let x = Math.ceil(low / step - 1e-9) * step; x <= high + step * 1e-6; x += step) made.push(Number(x.toFixed(10)));
  return made;
}

/** Add an SVG to `host`, filled by draw(svg, width, height) at any width; returns a function that redraws it. */
function chart(host, height, label, draw) {
  const canvas = svg("svg", { height, role: "img", "aria-label": label });
  host.append(canvas);
  let width = 0;
  const redraw = () => {
    if (!width) return;
    canvas.replaceChildren();
    canvas.setAttribute("viewBox", `0 0 ${width} ${height}`);
    draw(canvas, width, height);
  };
  new ResizeObserver(([entry]) => {
    const now = Math.round(entry.contentRect.width);
    if (now === width) return;
    width = now;
    redraw();
  }).observe(canvas);
  return redraw;
}

/** Draw the axes of a plot and return its scales; `x` and `y` are {domain, label, ticks, format}. */
function axes(canvas, width, height, x, y) {
  const left = 46, right = 20, top = y.label ? 26 : 8, bottom = x.label ? 40 : 24;
  const across = linear(x.domain, [left, width - right]), up = linear(y.domain, [height - bottom, top]);
  const base = height - bottom;
  for (const value of y.ticks ?? ticks(...y.domain, 4)) {
    canvas.append(svg("line", { class: "axis", x1: left, x2: width - right, y1: up(value), y2: up(value) }),
      svg("text", { x: left - 6, y: up(value) + 4, "text-anchor": "end" }, (y.format ?? short)(value)));
  }
  for (const value of x.ticks ?? ticks(...x.domain, Math.max(4, Math.floor(width / 90)))) {
    canvas.append(svg("line", { class: "axis", x1: across(value), x2: across(value), y1: base, y2: base + 4 }),
      svg("text", { x: across(value), y: base + 17, "text-anchor": "middle" }, (x.format ?? short)(value)));
  }
  if (y.label) canvas.append(svg("text", { class: "strong", x: 2, y: 12 }, y.label));
  if (x.label) canvas.append(svg("text", { class: "strong", x: width - right, y: height - 5, "text-anchor": "end" }, x.label));
  return { across, up };
}

const path = (points, across, up) =>
  points.map(([x, y], place) => `${place ? "L" : "M"}${across(x).toFixed(1)} ${up(y).toFixed(1)}`).join("");

// Lines differ in dash pattern as well as in colour.
const LINES = [
  { stroke: "var(--good)", dash: null },
  { stroke: "var(--bad)", dash: "7 4" },
  { stroke: "var(--third)", dash: "2 4" },
  { stroke: "var(--muted)", dash: "9 3 2 3" },
  { stroke: "var(--ink)", dash: "1 3" },
];
const lineStyle = (place) => LINES[place % LINES.length];
const stroke = (style, width = 2) =>
  ({ fill: "none", stroke: style.stroke, "stroke-width": width, "stroke-dasharray": style.dash, "stroke-linejoin": "round" });

const legend = (names) => el("ul", { class: "legend" }, names.map((name, place) => el("li", {},
  svg("svg", { viewBox: "0 0 26 10", "aria-hidden": "true" }, svg("line", { x1: 0, x2: 26, y1: 5, y2: 5, ...stroke(lineStyle(place), 2.5) })),
  name)));

/** Add a framed chart with a caption. */
function framed(host, caption, height, draw, label = caption) {
  const figure = el("figure", { class: "chart" }, el("figcaption", {}, caption));
  host.append(figure);
  return chart(figure, height, label, draw);
}
