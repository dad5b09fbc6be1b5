// The header and navigation of the page, and the calls that draw all sections.

const SECTIONS = [["gallery", "Gallery"], ["quality", "Picture quality"], ["causes", "What makes an outlier"], ["map", "Map"], ["calibration", "Calibration"], ["runs", "Runs"]];

const TOO_MANY = 0.4; // an estimated rate above this suggests an arbiter that cannot tell

/** The interval of the share of outliers in brackets: " (95 % interval 2.2 to 4.0 %)"; nothing if it is unknown. */
function intervalWords() {
  if (!data.interval) return "";
  const [low, high] = data.interval.map((end) => (100 * end).toFixed(1));
  return ` (95\u00a0% interval ${low} to ${high}\u00a0%)`;
}

/** How many of the images were scored, and how many have pictures. */
function scoredWords() {
  const some = `${whole(data.images)} of the ${whole(data.total)} ${WHAT}`;
  const scored = data.sampled < data.total
    ? `${some}, drawn at random, were scored`
    : data.images < data.total ? `${some} were scored; the others could not be read` : `All ${whole(data.images)} ${WHAT} were scored`;
  if (shown.places.length === data.images) return `${scored}.`;
  const flagged = Array.from({ length: data.images }, (_, image) => image).filter((image) => !rankOf.has(image) && viewsOf(image).some(isFlagged)).length;
  return `${scored}. Pictures of ${whole(shown.places.length)} of them fit on this page, the most unusual first; the others` +
    `${flagged ? `, ${whole(flagged)} of them with flagged views,` : ""} are listed without pictures.`;
}

function drawHead() {
  byId("source").append(...breakable(data.source));
  byId("lead").textContent = `Views of preset ${data.preset}, judged by ${data.who}. ${scoredWords()}`;
  const rate = data.rate ?? data.arbiters[data.judge].rate, ess = el("dd"), nothing = data.nothing.reduce((sum, one) => sum + one, 0);
  const flagged = data.none_found ? 0 : Array.from({ length: data.views * data.images }, (_, index) => index).filter(isFlagged).length;
  const figures = [
    data.none_found ? [`outlier views: ${percent(rate, 1)}${intervalWords()}`, "No outliers found"] : [`views estimated to be outliers${intervalWords()}`, percent(rate, 1)],
    data.none_found ? null : ["views flagged: outlier probability above 50\u00a0%", whole(flagged)],
    [`scored views of ${whole(data.images)} ${WHAT}`, whole(data.views * data.images)],
    nothing ? [`${nothing === 1 ? "view shows" : "views show"} nothing but one colour`, whole(nothing)] : null,
    ["effective sample size of the weights", ess],
  ].filter((one) => one);
  byId("doubt").hidden = !(rate > TOO_MANY);
  byId("doubt").textContent = "So high an outlier rate usually means that the arbiter cannot tell: choose other --eyes, or train the run for more epochs.";
  const calibration = data.calibrations[data.own];
  if (calibration) figures.push(["AUROC against the ground truth", calibration.auroc.toFixed(3)]);
  byId("figures").append(...figures.map(([name, value]) => el("div", {}, el("dt", {}, name), typeof value === "string" ? el("dd", {}, value) : value)));
  onWeights(() => { ess.textContent = effectiveSampleSize(state.weights).toFixed(3); });
  drawCandidates();
  drawGalleryHead();
}

/** The candidates among which the arbiter was chosen, the best first. */
function drawCandidates() {
  if (!data.selection) return;
  const { chosen, found } = data.selection, best = new Map(found).get(chosen);
  const row = ([name, precision]) => el("tr", name === chosen ? { class: "chosen" } : {}, el("td", {}, name, name === chosen ? " (chosen)" : null), el("td", { class: "number" }, precision.toFixed(3)));
  const table = el("table", {}, el("caption", {}, "Average precision in finding views exchanged on purpose. Of an encoder: output, the features that it returns; last and before, the means of its last feature map and of the one before."),
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Candidate"), el("th", { class: "number", scope: "col" }, "Average precision"))), el("tbody", {}, found.map(row)));
  const by = data.own === "chosen" ? "Arbiter" : "For comparison, an arbiter chosen by injection";
  byId("candidates").append(el("summary", {}, `${by}: ${chosen}; it finds views exchanged on purpose with an average precision of ${best.toFixed(3)}`), el("div", { class: "scroll" }, table));
  byId("candidates").hidden = false;
}

function drawGalleryHead() {
  if (data.none_found) byId("gallery-title").textContent = "No outliers found: the most unusual views";
  const order = `in descending order of ${data.none_found ? "score" : "weight"}`;
  const row = data.grouped
    ? `Each group, represented by the image of its most typical view in a red frame, and views of its images ${order}.`
    : `Each image, in a red frame, and its views ${order}.`;
  byId("of-images").textContent = data.none_found ? `${row} The lower a score, the less a view is like the others of its ${data.grouped ? "group" : "image"}.` : row;
}

choose({});
drawHead();
drawStrength();
drawList();
listenToDetail();
drawQuality();
drawCauses();
drawMap();
drawCalibration();
drawHistory();
drawNavigation(SECTIONS);
