// The same computations as in Python: uota.arbitration.strengths.temperature and uota.arbitration.result.

/** The paper's weights NM · softmax(−d² / τ), whose mean is 1. */
function softmaxWeights(distances, tau) {
  const nearest = distances.reduce((least, d) => Math.min(least, d), Infinity);
  const likelihood = distances.map((d) => Math.exp((nearest - d) / tau));
  const total = likelihood.reduce((sum, one) => sum + one, 0);
  return likelihood.map((one) => (one * distances.length) / total);
}

/** (Σw)² / (Σw² · n), in (0, 1]; 1 means that all weights are equal. */
function effectiveSampleSize(weights) {
  let sum = 0, squares = 0;
  for (const w of weights) { sum += w; squares += w * w; }
  return (sum * sum) / (squares * weights.length);
}

/** Count the values in each of `bins` equal parts of [0, high]; higher values count in the last one. */
function histogram(values, high, bins) {
  const counts = new Array(bins).fill(0);
  for (const value of values) counts[Math.min(bins - 1, Math.floor((value / high) * bins))] += 1;
  return counts;
}
