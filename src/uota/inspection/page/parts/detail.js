// Details of one view: its crop box in the image, its augmentations, and the verdict of each arbiter.

const ORDER = ["brightness", "contrast", "saturation", "hue"]; // indexed by the digits of jitter_order

function cropWords(index) {
  const [top, left, high, wide] = data.boxes.subarray(4 * index, 4 * index + 4);
  const [height, width] = data.image_sizes.subarray(2 * index, 2 * index + 2);
  return `${percent(areaOf(index), 1)} of the image: ${percent(wide / width)} of the width, ${percent(high / height)} of the height, ` +
    `centre at ${percent((left + wide / 2) / width)} from the left and ${percent((top + high / 2) / height)} from the top`;
}

/** The augmentations of a view, as pairs of a name and a description; those of images without pictures are only in the table. */
function augmentations(index) {
  const rank = rankOf.get(imageOf(index)), done = [["Crop", cropWords(index)]];
  if (rank == null) return done;
  const of = (name) => shown.made[name][at(rank, index % data.views)];
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
    const parts = [`score ${arbiter.scores[index].toFixed(2)}`, `weight ${weights[index].toFixed(2)}`];
    if (arbiter.probability && !isNothing(index)) parts.push(`outlier probability ${percent(arbiter.probability[index])}`);
    if (arbiter.distances) parts.push(`squared distance ${short(arbiter.distances[index])} (mean ${data.dim})`);
    return [arbiter.name, parts.join(", ")];
  });
}

function openDetail(index) {
  const image = imageOf(index), view = index % data.views, label = className(image), name = data.names[image];
  const isInjected = isWrong(index) && !data.grouped && data.shows[index] !== data.order[image];
  const facts = [...augmentations(index), ...verdicts(index)];
  if (data.wrong) facts.push(["Ground truth", isWrong(index) ? "outlier" : "not an outlier"]);
  const crop = cropPicture(index);
  fill(byId("detail"), {}, [
    el("h2", { id: "detail-title" }, `${data.kinds[view]} view of `, breakable(name), label ? `, ${label}` : null),
    isInjected ? el("p", { class: "muted" }, "This view shows another image, injected to test whether the arbiters find it.") : null,
    isNothing(index) ? el("p", { class: "muted" }, "This view shows nothing but one colour, so it has no outlier probability.") : null,
    crop
      ? el("div", { class: "pair" },
        el("figure", {}, crop, el("figcaption", {}, "cropped from ", breakable(fileOf(index)))),
        el("figure", {}, viewPicture(index, { class: `cut${sizeOf(index) <= 40 ? " exact" : ""}` }), el("figcaption", {}, `the view, ${sizeOf(index)} pixels`)))
      : el("p", { class: "muted" }, "The pictures of this view did not fit on the page."),
    el("dl", { class: "facts" }, facts.map(([fact, words]) => [el("dt", {}, fact), el("dd", {}, words)])),
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
  const order = viewsOf(imageOf(index)).sort((a, b) => isNothing(a) - isNothing(b) || -worse(a, b));
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
