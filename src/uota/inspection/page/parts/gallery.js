// An interactive form of the paper's Figure 1: each row shows an image and its views by weight.

const shown = data.shown;
const gallery = { filter: "", sort: "worst", caption: "weight", rows: [] };

/** Smallest weight among an image's views. */
const worstOf = (image) => Math.min(...Array.from({ length: data.views }, (_, view) => state.weights[at(image, view)]));
const SORTS = {
  worst: ["Worst view first", (a, b) => worstOf(a) - worstOf(b)],
  best: ["Worst view last", (a, b) => worstOf(b) - worstOf(a)],
  drawn: ["As sampled", (a, b) => a - b],
};

function drawGallery() {
  const images = Array.from({ length: shown.images }, (_, image) => image);
  gallery.rows = images.map(makeRow);
  const panel = byId("strength");
  const present = [...new Set(images.map(className))].filter((name) => name != null).sort();
  if (present.length > 1)
    panel.append(selection("filter", "Class", [["", "All classes"], ...present.map((name) => [name, name])],
      (value) => { gallery.filter = value; arrange(); }));
  panel.append(selection("sort", "Order of images", Object.entries(SORTS).map(([key, [name]]) => [key, name]),
    (value) => { gallery.sort = value; arrange(); }));
  if (Object.values(data.arbiters).some((arbiter) => arbiter.probability))
    panel.append(selection("caption", "Number under a view", [["weight", "Weight"], ["probability", "Outlier probability"]],
      (value) => { gallery.caption = value; gallery.rows.forEach(updateRow); }));
  panel.addEventListener("submit", (event) => event.preventDefault());
  onWeights(() => { gallery.rows.forEach(updateRow); arrange(); });
  new ResizeObserver(estimateHeights).observe(byId("rows"));
}

function makeRow(image) {
  const name = shown.names[image], label = className(image);
  const views = Array.from({ length: data.views }, (_, view) => makeView(image, view));
  const strip = el("div", { class: "views", style: `--views:${data.views}`, onkeydown: alongRow }, views.map((one) => one.button));
  const face = el("figure", { class: "face" },
    picture(shown.originals[shown.faces[image]], `${data.grouped ? "Group" : "Image"} ${name}${label ? `, ${label}` : ""}`, 176),
    el("figcaption", {}, label ? el("b", {}, label) : null, breakable(name)));
  return { image, label, views, strip, node: el("article", { class: "row", "aria-label": name }, face, strip) };
}

function makeView(image, view) {
  const index = at(image, view), kind = data.kinds[view];
  const bar = el("i"), number = el("span", { class: "number" });
  const img = picture(shown.pictures[index], "", data.sizes[view]);
  const button = el("button", { type: "button", "data-index": index, class: `view ${kind}${isWrong(index) ? " wrong" : ""}`, onclick: () => openDetail(index) },
    img, el("span", { class: "bar", "aria-hidden": "true" }, bar), number, isWrong(index) ? el("span", { class: "truth" }, "outlier") : null);
  return { index, button, img, bar, number };
}

function updateRow(row) {
  const byWeight = [...row.views].sort((a, b) => state.weights[b.index] - state.weights[a.index]);
  if (byWeight.some((view, place) => row.strip.children[place] !== view.button)) row.strip.replaceChildren(...byWeight.map((view) => view.button));
  byWeight.forEach((view, place) => { view.button.tabIndex = place ? -1 : 0; });
  for (const view of row.views) updateView(view);
}

/** Tab moves between rows, arrow keys within a row. */
function alongRow(event) {
  const by = { ArrowRight: "nextElementSibling", ArrowLeft: "previousElementSibling" }[event.key];
  const next = by && event.target.closest(".view")?.[by];
  if (next) next.focus();
}

function updateView({ index, button, img, bar, number }) {
  const weight = state.weights[index];
  button.classList.toggle("low", weight < 0.5);
  button.dataset.weight = weight;
  bar.style.width = `${clamp(weight / 2, 0, 1) * 100}%`;
  number.textContent = gallery.caption === "probability" && state.probability ? percent(state.probability[index]) : weight.toFixed(2);
  img.alt = `${data.kinds[index % data.views]} view, ${weightWords(index)}${isWrong(index) ? ", known to be an outlier" : ""}`;
}

/** Give rows out of sight, which are not laid out, the height of the first row, so that links scroll to the right place. */
function estimateHeights() {
  const first = byId("rows").firstElementChild;
  if (first) byId("rows").style.setProperty("--row-height", `${first.offsetHeight - 33}px`);
}

/** Filter and sort the rows. */
function arrange() {
  const rows = gallery.rows.filter((row) => !gallery.filter || row.label === gallery.filter);
  rows.sort((a, b) => SORTS[gallery.sort][1](a.image, b.image));
  const host = byId("rows");
  if (rows.length !== host.children.length || rows.some((row, place) => host.children[place] !== row.node)) host.replaceChildren(...rows.map((row) => row.node));
  const what = data.grouped ? "groups" : "images";
  byId("count").textContent = rows.length === shown.images ? `${whole(rows.length)} ${what}` : `${whole(rows.length)} of ${whole(shown.images)} ${what}`;
}
