// Helpers that create elements. Text is always set as text, so that no file name can become markup.

const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.replaceChildren(...children.flat(Infinity).filter((child) => child != null));
  return node;
}

/** el("p", {class: "muted"}, "text", node, …) */
const el = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
const svg = (name, attributes = {}, ...children) => fill(document.createElementNS(SVG, name), attributes, children);

/** An image element; `side` is the picture's size in pixels, and small pictures are scaled without smoothing. */
const picture = (uri, alt, side, attributes = {}) =>
  el("img", { src: uri, alt, decoding: "async", class: side <= 40 ? "exact" : null, ...attributes });

/** A path that may wrap after slashes, hyphens and underscores, and before its suffix. */
const breakable = (text) => text.split(/(?<=[/_-])|(?=\.[^./]*$)/).flatMap((part) => [part, el("wbr")]);

/** Download text as a file. */
function download(name, text, type) {
  const link = el("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** A labelled <select>. */
function selection(id, label, options, change) {
  const select = el("select", { id, onchange: () => change(select.value) },
    options.map(([value, text]) => el("option", { value }, text)));
  return el("div", { class: "field" }, el("label", { class: "label", for: id }, label), select);
}
