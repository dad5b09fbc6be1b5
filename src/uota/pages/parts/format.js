"use strict";
// Numbers as text.

const percent = (share, digits = 0) => (share == null ? "–" : `${(100 * share).toFixed(digits)}\u00a0%`);
const whole = (n) => n.toLocaleString("en-US");
/** A number of things: "1 file", "2 files". */
const counted = (count, noun) => `${whole(count)} ${noun}${count === 1 ? "" : "s"}`;
/** Format a number briefly: 3 significant digits, no trailing zeros. */
const short = (x) => (Math.abs(x) >= 1000 ? whole(Math.round(x)) : String(Number(x.toPrecision(3))));
const clamp = (x, low, high) => Math.min(high, Math.max(low, x));
