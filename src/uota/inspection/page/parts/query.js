// Which images and views the list shows, and in which order.

const query = { mode: "images", search: "", label: "", kind: "", only: "", sort: "worst", caption: "", page: 0, images: [], worst: [] };
const PER_PAGE = 24;

const collator = new Intl.Collator("en", { numeric: true });
const byName = (a, b) => collator.compare(data.names[a], data.names[b]);
const SORTS = {
  worst: ["Most unusual first", () => 0],
  name: ["By name", byName],
  folder: ["As in the folder", (a, b) => data.order[a] - data.order[b]],
};
const ONLY = {
  "": ["All", () => true],
  flagged: ["Flagged (above 50 %)", isFlagged],
  nothing: ["Nothing but one colour", isNothing],
};

const passes = (index) => (!query.kind || kindOf(index) === query.kind) && ONLY[query.only][1](index);
/** The views of an image that pass the filters, the most unusual first. */
const passing = (image) => viewsOf(image).filter(passes).sort(worse);

function isNamed(image, text) {
  if (data.names[image].toLowerCase().includes(text)) return true;
  return data.grouped && viewsOf(image).some((index) => fileOf(index).toLowerCase().includes(text));
}

/** Compare two views in the chosen order. */
const inOrder = (a, b) => SORTS[query.sort][1](imageOf(a), imageOf(b)) || worse(a, b);

/** Find the images that pass the search and the filters, and sort them by their most unusual view that passes. */
function find() {
  const text = query.search.trim().toLowerCase();
  const worst = [];
  for (let image = 0; image < data.images; image += 1) {
    if ((query.label && className(image) !== query.label) || (text && !isNamed(image, text))) continue;
    let least = -1;
    for (let index = at(image, 0); index < at(image + 1, 0); index += 1)
      if (passes(index) && (least < 0 || worse(index, least) < 0)) least = index;
    if (least >= 0) worst.push(least);
  }
  query.images = worst.sort(inOrder).map(imageOf);
}

/** All views that the list holds, in its order. */
const foundViews = () => query.images.flatMap((image) => viewsOf(image).filter(passes)).sort(inOrder);
