// The data of the page, and the arbiter whose verdict it shows.

const ARRAYS = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, f4: Float32Array };
/** Numbers from their compact form. */
const unpack = (packed) => packed && new ARRAYS[packed.dtype](Uint8Array.from(atob(packed.data), (one) => one.charCodeAt(0)).buffer);

const data = JSON.parse(byId("data").textContent);
for (const name of ["shows", "boxes", "image_sizes", "nothing", "wrong"]) data[name] = unpack(data[name]);
for (const arbiter of Object.values(data.arbiters)) {
  for (const name of ["weights", "scores", "probability"]) arbiter[name] = unpack(arbiter[name]);
  arbiter.distances = arbiter.distances && Float64Array.from(unpack(arbiter.distances));
}
data.names ??= data.order.map((index) => data.files[index]);
const shown = data.shown;
/** Place of an image among those that have pictures. */
const rankOf = new Map(shown.places.map((image, place) => [image, place]));

const state = { arbiter: data.own, tau: data.arbiters.mahalanobis.tau, weights: [], scores: [], probability: null };
const listeners = [];

/** Call `update` now and whenever the weights change. */
function onWeights(update) {
  listeners.push(update);
  update();
}

/** Show the weights of another arbiter, or the paper's at another temperature. */
function choose(change) {
  Object.assign(state, change);
  const arbiter = data.arbiters[state.arbiter];
  state.weights = arbiter.distances ? softmaxWeights(arbiter.distances, state.tau) : arbiter.weights;
  state.scores = arbiter.scores;
  state.probability = arbiter.probability;
  for (const update of listeners) update();
}

const FLAGGED = 0.5; // views of a higher outlier probability are flagged
const WHAT = data.grouped ? "groups" : "images";
const isAutomatic = () => data.arbiters[state.arbiter].distances == null;
/** Index of a view of an image in all lists of views. */
const at = (image, view) => image * data.views + view;
const imageOf = (index) => Math.floor(index / data.views);
const viewsOf = (image) => Array.from({ length: data.views }, (_, view) => at(image, view));
const kindOf = (index) => data.kinds[index % data.views];
const sizeOf = (index) => data.sizes[index % data.views];
const isWrong = (index) => data.wrong != null && data.wrong[index] === 1;
const isNothing = (index) => data.nothing[index] === 1;
const isFlagged = (index) => !isNothing(index) && (state.probability ?? data.arbiters[data.judge].probability)?.[index] > FLAGGED;
const className = (image) => (data.labels == null || data.labels[image] < 0 ? null : (data.classes?.[data.labels[image]] ?? String(data.labels[image])));
const fileOf = (index) => data.files[data.shows[index]];

/** Compare two views: the less its image's, the earlier; views that show nothing come last. */
const worse = (a, b) => data.nothing[a] - data.nothing[b] || (data.none_found ? 0 : state.weights[a] - state.weights[b]) || state.scores[a] - state.scores[b] || a - b;

/** Describe the verdict on a view. */
function verdictWords(index) {
  if (isNothing(index)) return "shows nothing but one colour";
  const weight = `weight ${state.weights[index].toFixed(2)}`;
  if (data.none_found) return `score ${state.scores[index].toFixed(2)}, ${weight}`;
  return state.probability ? `${weight}, outlier probability ${percent(state.probability[index])}` : weight;
}

/** The picture of a view; null if it has none on this page. */
function viewPicture(index, attributes = {}) {
  const rank = rankOf.get(imageOf(index));
  return rank == null ? null : picture(shown.pictures[at(rank, index % data.views)], `${kindOf(index)} view, ${verdictWords(index)}`, sizeOf(index), attributes);
}
