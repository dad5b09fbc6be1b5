// Calibration of each arbiter against the ground truth.

function drawCalibration() {
  const body = byId("calibration-body"), found = Object.entries(data.calibrations);
  if (!found.length) {
    body.append(el("p", { class: "empty" }, "There is no ground truth about which of these views are outliers. ",
      el("code", {}, "uota inspect … --inject 0.1"), " replaces a tenth of the views by views of other images, and this section then shows how well the arbiters find them."));
    return;
  }
  const share = data.wrong.reduce((sum, one) => sum + one, 0) / data.wrong.length;
  body.append(el("p", { class: "lead" }, `By the ground truth, ${percent(share, 1)} of the views are outliers. AUROC is the probability that an outlier scores below another view.`));
  const row = ([key, { auroc, estimated }]) => el("tr", { "data-arbiter": key }, el("td", {}, data.arbiters[key].name),
    el("td", { class: "number" }, auroc.toFixed(3)), el("td", { class: "number" }, percent(estimated, 1)), el("td", { class: "number" }, percent(share, 1)));
  body.append(el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, ["Arbiter", "AUROC", "Estimated rate", "True rate"].map((name, place) => el("th", { class: place ? "number" : null, scope: "col" }, name)))),
    el("tbody", {}, found.map(row)))));
  const charts = el("div", { class: "charts pairwise" });
  body.append(charts);
  framed(charts, "ROC curve", 310, (...box) => drawRoc(found, ...box));
  framed(charts, "Reliability", 310, (...box) => drawReliability(found, ...box));
  body.append(legend(found.map(([key]) => data.arbiters[key].name)),
    el("p", { class: "muted" }, "The paper's rule gives weights but no probabilities, so it has no estimated rate and no reliability curve."));
}

const SHARES = { domain: [0, 1], ticks: [0, 0.25, 0.5, 0.75, 1], format: (x) => percent(x) };

function diagonal(canvas, across, up) {
  canvas.append(svg("line", { class: "mean", x1: across(0), y1: up(0), x2: across(1), y2: up(1) }));
}

function drawRoc(found, canvas, width, height) {
  const { across, up } = axes(canvas, width, height, { ...SHARES, label: "false positive rate" }, { ...SHARES, label: "true positive rate" });
  diagonal(canvas, across, up);
  found.forEach(([, one], place) => {
    const points = one.false_positives.map((x, at) => [x, one.true_positives[at]]);
    canvas.append(svg("path", { d: path(points, across, up), ...stroke(lineStyle(place)) }));
  });
}

function drawReliability(found, canvas, width, height) {
  const { across, up } = axes(canvas, width, height, { ...SHARES, label: "predicted outlier probability" }, { ...SHARES, label: "share of outliers" });
  diagonal(canvas, across, up);
  found.forEach(([, { reliability }], place) => {
    if (!reliability) return;
    const style = lineStyle(place), { said, true: share, lower, upper } = reliability;
    canvas.append(svg("path", { d: path(said.map((x, at) => [x, share[at]]), across, up), ...stroke(style) }));
    said.forEach((x, at) => canvas.append(
      svg("line", { x1: across(x), x2: across(x), y1: up(lower[at]), y2: up(upper[at]), stroke: style.stroke, "stroke-width": 1.5 }),
      svg("circle", { cx: across(x), cy: up(share[at]), r: 3.5, fill: style.stroke })));
  });
}
