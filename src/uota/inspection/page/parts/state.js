// The data of the page, and the arbiter whose weights it shows.

const data = JSON.parse(byId("data").textContent);
const state = { arbiter: data.own, tau: data.arbiters.mahalanobis.tau, weights: [], probability: null };
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
  state.probability = arbiter.probability;
  for (const update of listeners) update();
}

const isAutomatic = () => data.arbiters[state.arbiter].distances == null;
/** Index of a view of an image in all lists of views. */
const at = (image, view) => image * data.views + view;
const isWrong = (index) => data.wrong != null && data.wrong[index] === 1;
const className = (image) => (data.labels == null || data.labels[image] < 0 ? null : (data.classes?.[data.labels[image]] ?? String(data.labels[image])));
/** Describe a view's weight and outlier probability. */
const weightWords = (index) =>
  `weight ${state.weights[index].toFixed(2)}` +
  (state.probability ? `, outlier probability ${percent(state.probability[index])}` : "");
