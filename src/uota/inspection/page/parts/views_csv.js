// Selected views, and CSV files of views in the columns of the table that Python writes.

const selected = new Set();

/** A number of float32 in its own precision. */
const brief = (value) => Number(value.toPrecision(7));

const COLUMNS = {
  image: (index) => data.names[imageOf(index)],
  shows: fileOf,
  class: (index) => className(imageOf(index)),
  view: (index) => index % data.views,
  kind: kindOf,
  crop_top: (index) => data.boxes[4 * index],
  crop_left: (index) => data.boxes[4 * index + 1],
  crop_height: (index) => data.boxes[4 * index + 2],
  crop_width: (index) => data.boxes[4 * index + 3],
  wrong: isWrong,
  shows_nothing: isNothing,
};

/** Rows of a CSV file, with the verdict of the arbiter that the page shows. */
function viewRows(indices) {
  const columns = Object.entries({
    ...COLUMNS,
    [`score_${state.arbiter}`]: (index) => brief(state.scores[index]),
    [`weight_${state.arbiter}`]: (index) => brief(state.weights[index]),
    [`outlier_probability_${state.arbiter}`]: (index) => (isNothing(index) ? null : brief(state.probability[index])),
  }).filter(([name]) => (name !== "wrong" || data.wrong) && (name !== "class" || data.labels) && (!name.startsWith("outlier") || state.probability));
  return [columns.map(([name]) => name), ...indices.map((index) => columns.map(([, value]) => value(index)))];
}

const filesOf = (indices) => new Set(indices.map((index) => data.shows[index])).size;
const countWords = (indices) => `${whole(indices.length)} ${indices.length === 1 ? "view" : "views"} of ${whole(filesOf(indices))} ${filesOf(indices) === 1 ? "file" : "files"}`;

/** A checkbox that selects views. */
function selector(name, indices, changed) {
  const box = el("input", { type: "checkbox", class: "select", "aria-label": `Select ${name}`, onchange: () => {
    for (const index of indices()) box.checked ? selected.add(index) : selected.delete(index);
    changed();
  } });
  const update = () => {
    const all = indices(), count = all.filter((index) => selected.has(index)).length;
    box.checked = count > 0 && count === all.length;
    box.indeterminate = count > 0 && count < all.length;
  };
  return { box, update };
}
