// Details of one view: its crop box in the image, its augmentations, and the verdict of each arbiter.

const made = shown.made;
const ORDER = ["brightness", "contrast", "saturation", "hue"]; // indexed by the digits of jitter_order

/** The augmentations of a view, as pairs of a name and a description. */
function augmentations(index) {
  const of = (name) => made[name][index];
  const done = [["Crop", `${percent(of("area"), 1)} of the image: ${percent(of("crop_width") / of("image_width"))} of the width, ${percent(of("crop_height") / of("image_height"))} of the height, centre at ${percent(of("x"))} from the left and ${percent(of("y"))} from the top`]];
  if (of("flip")) done.push(["Mirrored", "left to right"]);
  const jitter = [...of("jitter_order")].map((digit) => ORDER[digit]).filter((name) => of(name) !== (name === "hue" ? 0 : 1));
  if (jitter.length)
    done.push(["Colour", jitter.map((name) => (name === "hue" ? `hue ${of(name) > 0 ? "+" : ""}${short(360 * of(name))}°` : `${name} × ${of(name).toFixed(2)}`)).join(", ")]);
  if (of("grey")) done.push(["Grey", "colour removed"]);
  if (of("blur_sigma")) done.push(["Blur", `sigma ${of("blur_sigma").toFixed(2)} pixels`]);
  if (of("solarise")) done.push(["Solarised", "bright pixels inverted"]);
  if (of("rand_augment")) done.push(["RandAugment", "further random operations"]);
  return done;
}

function verdicts(index) {
  return Object.entries(data.arbiters).map(([key, arbiter]) => {
    const weights = key === state.arbiter ? state.weights : arbiter.weights;
    const parts = [`weight ${weights[index].toFixed(2)}`];
    if (arbiter.probability) parts.push(`outlier probability ${percent(arbiter.probability[index])}`);
    if (arbiter.distances) parts.push(`squared distance ${short(arbiter.distances[index])} (mean ${data.dim})`);
    return [arbiter.name, parts.join(", ")];
  });
}

function openDetail(index) {
  const image = Math.floor(index / data.views), view = index % data.views;
  const of = (name) => made[name][index];
  const share = (part, all) => `${(100 * part) / all}%`;
  const box = el("i", { style: `left:${share(of("crop_left"), of("image_width"))};top:${share(of("crop_top"), of("image_height"))};` +
    `width:${share(of("crop_width"), of("image_width"))};height:${share(of("crop_height"), of("image_height"))}` });
  const source = of("shows"), isInjected = isWrong(index) && !data.grouped && shown.of[index] !== shown.faces[image];
  const label = className(image);
  const facts = [...augmentations(index), ...verdicts(index)];
  if (data.wrong) facts.push(["Ground truth", isWrong(index) ? "outlier" : "not an outlier"]);
  fill(byId("detail"), {}, [
    el("h2", { id: "detail-title" }, `${data.kinds[view]} view of `, breakable(shown.names[image]), label ? `, ${label}` : null),
    isInjected ? el("p", { class: "muted" }, "This view shows another image, injected to test whether the arbiters find it.") : null,
    el("div", { class: "pair" },
      el("figure", {}, el("span", { class: "crop" }, picture(shown.originals[shown.of[index]], `Image ${source} with the crop box`, of("image_width")), box),
        el("figcaption", {}, "cropped from ", breakable(String(source)))),
      el("figure", {}, picture(shown.pictures[index], `The view, ${weightWords(index)}`, data.sizes[view], { class: `cut${data.sizes[view] <= 40 ? " exact" : ""}` }),
        el("figcaption", {}, `the view, ${data.sizes[view]} pixels`))),
    el("dl", { class: "facts" }, facts.map(([name, words]) => [el("dt", {}, name), el("dd", {}, words)])),
    el("div", { class: "buttons" },
      el("button", { class: "button", type: "button", onclick: () => step(index, -1) }, "← Higher weight"),
      el("button", { class: "button", type: "button", onclick: () => step(index, 1) }, "Lower weight →"),
      el("button", { class: "button last", type: "button", onclick: () => byId("detail").close() }, "Close"))]);
  const dialog = byId("detail");
  dialog.dataset.index = index;
  if (!dialog.open) dialog.showModal();
}

/** Open the image's next view by weight. */
function step(index, by) {
  const image = Math.floor(index / data.views);
  const order = Array.from({ length: data.views }, (_, view) => at(image, view)).sort((a, b) => state.weights[b] - state.weights[a]);
  openDetail(order[(order.indexOf(index) + by + order.length) % order.length]);
  byId("detail").querySelectorAll("button")[by > 0 ? 1 : 0].focus();
}

function listenToDetail() {
  const dialog = byId("detail");
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(Number(dialog.dataset.index), -1);
    if (event.key === "ArrowRight") step(Number(dialog.dataset.index), 1);
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
}
