// The header and navigation of the page, and the calls that draw all sections.

const SECTIONS = [["gallery", "Gallery"], ["files", "Files"], ["quality", "Picture quality"], ["causes", "What makes an outlier"], ["map", "Map"], ["calibration", "Calibration"], ["runs", "Runs"]];

const TOO_MANY = 0.4; // an estimated rate above this suggests an arbiter that is not trained well enough

function drawHead() {
  const what = data.grouped ? "groups" : data.labels ? "training images" : "images", sampled = data.images < data.total;
  byId("source").append(...breakable(data.source));
  if (data.grouped) byId("of-images").textContent = "Each group, represented by the image of its most typical view in a red frame, and views of its images in descending order of weight.";
  byId("lead").textContent = `Views of preset ${data.preset}, weighted by ${data.who}. ` +
    (data.halved
      ? `${whole(data.images)} of the ${whole(data.total)} groups were scored, by an arbiter trained on the other half; the gallery shows ${whole(shown.images)}.`
      : sampled
      ? `${whole(data.images)} of the ${whole(data.total)} ${what}, drawn at random, were scored${data.sampled < data.total && data.who.startsWith("an") ? ` by an arbiter trained on ${whole(data.sampled)}` : ""}; the gallery shows ${whole(shown.images)}.`
      : `All ${whole(data.images)} ${what} were scored; the gallery shows ${whole(shown.images)}.`);
  const ess = el("dd"), rate = data.arbiters[data.own].rate ?? data.arbiters.two_groups.rate;
  const figures = [["views estimated to be outliers", el("dd", {}, percent(rate, 1))], ["effective sample size of the weights", ess],
    [`scored views of ${whole(data.images)} ${data.grouped ? "groups" : "images"}`, el("dd", {}, whole(data.views * data.images))]];
  byId("doubt").hidden = !(rate > TOO_MANY);
  byId("doubt").textContent = "So high an outlier rate usually means that the arbiter is not trained well enough: train it for longer (--seconds, or more epochs of the run), or use features of a --backbone.";
  const calibration = data.calibrations[data.own];
  if (calibration) figures.push(["AUROC against the ground truth", el("dd", {}, calibration.auroc.toFixed(3))]);
  if (data.filing) figures.push(["files estimated to be misfiled", el("dd", {}, percent(data.filing.share, 1))]);
  byId("figures").append(...figures.map(([name, value]) => el("div", {}, el("dt", {}, name), value)));
  onWeights(() => { ess.textContent = effectiveSampleSize(state.weights).toFixed(3); });
}

function drawNavigation() {
  const links = SECTIONS.filter(([id]) => !byId(id).hidden).map(([id, name]) => el("a", { href: `#${id}` }, name));
  byId("sections").append(el("ul", {}, links.map((link) => el("li", {}, link))));
  const current = () => {
    const passed = links.filter((link) => byId(link.hash.slice(1)).getBoundingClientRect().top < 140);
    links.forEach((link) => link.removeAttribute("aria-current"));
    const ended = scrollY + innerHeight >= document.documentElement.scrollHeight - 2;
    const now = (ended ? links : passed).at(-1) ?? links[0];
    now.setAttribute("aria-current", "true");
    now.closest("ul").scrollLeft = now.offsetLeft - 60;
  };
  addEventListener("scroll", current, { passive: true });
  current();
}

choose({});
drawHead();
drawStrength();
drawGallery();
listenToDetail();
drawFiling();
drawQuality();
drawCauses();
drawMap();
drawCalibration();
drawHistory();
drawNavigation();
