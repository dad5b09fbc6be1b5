// The panel: choice of arbiter and temperature, effective sample size and histogram of the weights.

const RANGE = 1000; // steps of the slider
const COLDEST = 0.02 * data.dim, WARMEST = 50 * data.dim;
const HIGHEST = 3, BARS = 30; // range and bins of the histogram
const toTau = (step) => Number((COLDEST * (WARMEST / COLDEST) ** (step / RANGE)).toPrecision(4));
const toStep = (tau) => Math.round((RANGE * Math.log(tau / COLDEST)) / Math.log(WARMEST / COLDEST));

function drawStrength() {
  const choices = Object.entries(data.arbiters).map(([key, arbiter]) => el("label", { class: "choice" },
    el("input", { type: "radio", name: "arbiter", value: key, checked: key === state.arbiter, onchange: () => choose({ arbiter: key }) }),
    arbiter.name + (arbiter.distances ? "" : " (automatic)")));
  const slider = el("input", { type: "range", id: "tau", min: 0, max: RANGE, step: 1, "aria-label": "Temperature τ, logarithmic",
    oninput: () => choose({ arbiter: "mahalanobis", tau: toTau(Number(slider.value)) }) });
  const typed = el("input", { type: "number", id: "tau-typed", min: 0, step: "any",
    onchange: () => Number(typed.value) > 0 && choose({ arbiter: "mahalanobis", tau: Number(typed.value) }) });
  const ess = el("strong", { id: "ess" }), note = el("p", { class: "muted", id: "tau-note" });
  const host = el("div", { id: "histogram" });
  byId("strength").append(
    el("fieldset", {}, el("legend", {}, "Weights by"), choices),
    el("div", { class: "temperature" }, el("label", { for: "tau-typed" }, "Temperature τ"), typed), slider, note,
    el("div", { class: "live" }, el("span", {}, "Effective sample size"), ess),
    host);
  const redraw = chart(host, 170, "Histogram of the weights", drawHistogram);
  onWeights(() => {
    document.querySelector(`input[name=arbiter][value=${state.arbiter}]`).checked = true;
    slider.value = toStep(state.tau);
    slider.setAttribute("aria-valuetext", `τ ${state.tau}`);
    typed.value = Number(state.tau.toPrecision(6));
    note.textContent = isAutomatic()
      ? "Automatic: these weights need no temperature. Move the slider for the paper's rule."
      : `${short(state.tau / data.dim)} × dimension; the released code uses 2.7. A smaller τ trusts the distances more.`;
    const share = effectiveSampleSize(state.weights);
    ess.textContent = share.toFixed(3);
    ess.dataset.value = share;
    redraw();
  });
}

function drawHistogram(canvas, width, height) {
  const counts = histogram(state.weights, HIGHEST, BARS), most = Math.max(...counts);
  const thousands = most >= 10_000;
  const { across, up } = axes(canvas, width, height, { domain: [0, HIGHEST], ticks: [0, 1, 2, 3], format: (x) => (x === HIGHEST ? `${x}+` : x), label: "weight" },
    { domain: [0, most], label: thousands ? "views, in thousands" : "views", format: (y) => (thousands ? short(y / 1000) : short(y)) });
  const slot = across(HIGHEST / BARS) - across(0);
  counts.forEach((count, place) => canvas.append(svg("rect", { x: across(0) + place * slot + 0.5, width: Math.max(1, slot - 1), y: up(count), height: up(0) - up(count), "data-count": count,
    fill: (place + 0.5) * HIGHEST / BARS < 1 ? "var(--bad)" : "var(--good)" })));
}
