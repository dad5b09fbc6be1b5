// Rows of the list: an image and its views by weight, an interactive form of the paper's Figure 1.

const rows = new Map(); // of the images that were on a page so far

function rowOf(image) {
  if (!rows.has(image)) rows.set(image, makeRow(image));
  return rows.get(image);
}

function makeRow(image) {
  const name = data.names[image], label = className(image), rank = rankOf.get(image);
  const views = viewsOf(image).map(makeView);
  const strip = el("div", { class: "views", style: `--views:${data.views}`, onkeydown: alongRow }, views.map((one) => one.button));
  const select = selector(name, () => passing(image), updateSelection);
  const face = el("figure", { class: "face" },
    rank == null ? null : picture(shown.originals[shown.faces[rank]], `${data.grouped ? "Group" : "Image"} ${name}${label ? `, ${label}` : ""}`, 176),
    el("figcaption", {}, el("span", {}, select.box, label ? el("b", {}, label) : null), breakable(name),
      copies.has(name) ? el("span", {}, `one of ${whole(copies.get(name))} identical pictures`) : null));
  return { image, views, strip, select, node: el("article", { class: rank == null ? "row plain" : "row", "aria-label": name }, face, strip) };
}

function makeView(index) {
  const bar = el("i"), number = el("span", { class: "number" }), img = viewPicture(index);
  const button = el("button", { type: "button", "data-index": index, class: `view ${kindOf(index)}${isWrong(index) ? " wrong" : ""}`, onclick: () => openDetail(index) },
    img, el("span", { class: "bar", "aria-hidden": "true" }, bar), number, isWrong(index) ? el("span", { class: "truth" }, "outlier") : null);
  return { index, button, img, bar, number };
}

function updateRow(row) {
  const visible = row.views.filter((view) => !query.kind || kindOf(view.index) === query.kind);
  const byWeight = visible.sort((a, b) => isNothing(a.index) - isNothing(b.index) || -worse(a.index, b.index));
  if (byWeight.length !== row.strip.children.length || byWeight.some((view, place) => row.strip.children[place] !== view.button))
    row.strip.replaceChildren(...byWeight.map((view) => view.button));
  byWeight.forEach((view, place) => { view.button.tabIndex = place ? -1 : 0; });
  for (const view of byWeight) updateView(view);
  row.select.update();
}

/** Tab moves between rows, arrow keys within a row. */
function alongRow(event) {
  const by = { ArrowRight: "nextElementSibling", ArrowLeft: "previousElementSibling" }[event.key];
  const next = by && event.target.closest(".view")?.[by];
  if (next) next.focus();
}

const CAPTIONS = {
  probability: ["Outlier probability", (index) => percent(state.probability[index])],
  weight: ["Weight", (index) => state.weights[index].toFixed(2)],
  score: ["Score", (index) => state.scores[index].toFixed(2)],
};

function captionOf(index) {
  if (isNothing(index)) return "one colour";
  return CAPTIONS[query.caption === "probability" && !state.probability ? "weight" : query.caption][1](index);
}

function updateView({ index, button, img, bar, number }) {
  const weight = state.weights[index];
  button.classList.toggle("low", !isNothing(index) && (state.probability ? isFlagged(index) : weight < 0.5));
  button.classList.toggle("nothing", isNothing(index));
  button.dataset.weight = weight;
  bar.style.width = isNothing(index) ? "0" : `${clamp(weight / 2, 0, 1) * 100}%`;
  number.textContent = captionOf(index);
  const words = `${kindOf(index)} view, ${verdictWords(index)}${isWrong(index) ? ", known to be an outlier" : ""}`;
  if (img) img.alt = words;
  else button.setAttribute("aria-label", words);
}
