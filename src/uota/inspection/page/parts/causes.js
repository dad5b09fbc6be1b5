// The causes of outliers: advice, ranking of parameters, and a chart for each parameter.

function drawCauses() {
  const { explained, ranking } = data.causes;
  drawAdvice();
  if (explained === null) {
    byId("causes-lead").hidden = true;
    for (const part of byId("causes").querySelectorAll("h3, .muted, .ranking, .charts")) part.hidden = true;
    return;
  }
  byId("causes-lead").textContent =
    `How the weights (${data.arbiters[data.own].name.toLowerCase()}) of ${whole(data.views * data.images)} views depend on the parameters of their augmentations. ` +
    (explained > 0.01
      ? `On held-out images, boosted trees on these parameters explain ${percent(explained)} of the variance of the weights.`
      : "On held-out images, boosted trees on these parameters explain none of the variance of the weights, which depend on the content of the images.");
  drawRanking(ranking);
  const host = byId("factors");
  const bounds = ranking.flatMap((cause) => [...cause.bins.lower, ...cause.bins.upper, 1]).filter((x) => x != null);
  const domain = [Math.max(0, Math.min(...bounds) - 0.05), Math.max(...bounds) + 0.05];
  for (const cause of ranking) framed(host, cause.name, 214, (...box) => drawFactor(cause, domain, ...box), describe(cause));
}

function drawAdvice() {
  const { sentences, yaml } = data.advice;
  byId("advice").append(el("ul", {}, sentences.map((sentence) => el("li", {}, sentence.replace(/(\d) %/g, "$1\u00a0%")))));
  if (!yaml) return;
  const copy = el("button", { class: "button", type: "button", onclick: async () => {
    await navigator.clipboard.writeText(yaml);
    copy.textContent = "Copied";
  } }, "Copy");
  byId("advice").append(
    el("p", { class: "muted" }, "As a settings file for ", el("code", {}, "uota pretrain --config milder.yaml"), ":"),
    el("pre", { id: "yaml" }, yaml),
    el("div", { class: "buttons" }, copy,
      el("button", { class: "button", type: "button", onclick: () => download("milder.yaml", yaml, "text/yaml") }, "Download milder.yaml")));
}

function drawRanking(ranking) {
  const slot = 28, most = Math.max(0.001, ...ranking.map((cause) => cause.importance + cause.spread));
  chart(byId("ranking"), ranking.length * slot + 4, "Share of the variance of the weights that each parameter explains", (canvas, width) => {
    const names = clamp(width * 0.42, 172, 190), scale = linear([0, most], [0, width - names - 64]);
    ranking.forEach((cause, place) => {
      const y = place * slot, long = Math.max(1, scale(Math.max(0, cause.importance)));
      canvas.append(
        svg("text", { class: "strong", x: names - 10, y: y + 18, "text-anchor": "end" }, cause.name),
        svg("rect", { x: names, y: y + 6, height: 15, width: long, rx: 3, fill: "var(--good)", opacity: cause.importance > 2 * cause.spread ? 1 : 0.35 }),
        svg("text", { x: names + long + 8, y: y + 18 }, percent(Math.max(0, cause.importance), 1)));
    });
  });
}

const describe = (cause) => `Mean weight by ${cause.name}: ` +
  cause.bins.mean.map((mean, place) => `${short(cause.bins.low[place])} to ${short(cause.bins.high[place])}: ${mean.toFixed(2)}`).join("; ");

function drawFactor(cause, domain, canvas, width, height) {
  const { low, high, mean, lower, upper } = cause.bins;
  const label = cause.unit ? `${cause.name}, ${cause.unit}` : cause.name;
  const x = cause.binary ? { domain: [-0.6, 1.6], ticks: [0, 1], format: (v) => (v ? "yes" : "no"), label } : { domain: [low[0], high[high.length - 1]], label };
  const { across, up } = axes(canvas, width, height, x, { domain, label: "mean weight" });
  canvas.append(svg("line", { class: "mean", x1: across(x.domain[0]), x2: across(x.domain[1]), y1: up(1), y2: up(1) }));
  const dependence = cause.grid.map((value, place) => [value, clamp(cause.dependence[place], ...domain)]);
  if (!cause.binary) canvas.append(svg("path", { d: path(dependence, across, up), ...stroke({ stroke: "var(--muted)", dash: null }, 1.5) }));
  mean.forEach((value, place) => {
    const centre = across(cause.binary ? low[place] : (low[place] + high[place]) / 2);
    const colour = upper[place] < 1 ? "var(--bad)" : "var(--good)";
    canvas.append(
      svg("line", { x1: centre, x2: centre, y1: up(lower[place]), y2: up(upper[place]), stroke: colour, "stroke-width": 2 }),
      svg("circle", { cx: centre, cy: up(value), r: 4, fill: colour }, svg("title", {}, `${short(low[place])} to ${short(high[place])}: ${value.toFixed(2)} (${lower[place].toFixed(2)} to ${upper[place].toFixed(2)})`)));
  });
}
