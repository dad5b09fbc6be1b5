// Training curves of the runs.

function drawHistory() {
  const runs = data.histories;
  if (!runs.length) return;
  byId("runs").hidden = false;
  byId("runs-title").textContent = runs.length > 1 ? "The runs" : "The run";
  const body = byId("runs-body"), charts = el("div", { class: "charts" });
  body.append(legend(runs.map((run) => `${run.name} (${run.about})`)), el("p"), charts);
  const measured = Object.entries(data.measures).filter(([key]) => runs.some((run) => run.curves[key]));
  for (const [key, name] of measured) framed(charts, name, 214, (...box) => drawCurves(key, runs, ...box), `${name} by epoch`);
  if (!measured.length) body.append(el("p", { class: "empty" }, "Nothing is logged yet, because the first epoch has not finished."));
}

function drawCurves(key, runs, canvas, width, height) {
  const points = runs.flatMap((run) => run.curves[key] ?? []), xs = points.map((p) => p[0]), ys = points.map((p) => p[1]);
  const low = Math.min(...ys), high = Math.max(...ys), room = (high - low || Math.abs(high) || 1) * 0.08;
  const last = Math.max(...xs, 2);
  const { across, up } = axes(canvas, width, height, { domain: [1, last], ticks: ticks(1, last, Math.min(6, last - 1)).filter(Number.isInteger), label: "epoch" }, { domain: [low - room, high + room], label: data.measures[key] });
  runs.forEach((run, place) => {
    if (!run.curves[key]) return;
    const style = lineStyle(place);
    canvas.append(svg("path", { d: path(run.curves[key], across, up), ...stroke(style) }));
    for (const [x, y] of run.curves[key].length < 30 ? run.curves[key] : run.curves[key].slice(-1))
      canvas.append(svg("circle", { cx: across(x), cy: up(y), r: 3, fill: style.stroke }, svg("title", {}, `${run.name}, epoch ${x}: ${short(y)}`)));
  });
}
