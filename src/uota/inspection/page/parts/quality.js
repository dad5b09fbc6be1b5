// Flaws of pictures, by problem: duplicates side by side, other problems as a grid, in pages.

const FLAWS_ON_PAGE = 24, GROUPS_ON_PAGE = 10, EXACT = "exact_duplicate";

/** How many pictures are identical, by the names of those that are. */
const copies = new Map((data.quality?.problems ?? []).filter((problem) => problem.key === EXACT).flatMap((problem) => problem.rows).map(([file, count]) => [file, count]));

function drawQuality() {
  const quality = data.quality;
  if (!quality) return;
  byId("quality").hidden = false;
  const found = quality.problems.filter((problem) => problem.pictures), missing = quality.problems.filter((problem) => !problem.pictures);
  byId("quality-lead").textContent = `${whole(quality.checked)} pictures were checked in their original sizes` +
    `${quality.unreadable.length ? `; ${whole(quality.unreadable.length)} could not be read` : ""}.` +
    (missing.length ? ` None is listed as: ${missing.map((problem) => problem.name.toLowerCase()).join(", ")}.` : "");
  byId("quality-body").append(...found.map(drawProblem));
}

function drawProblem(problem) {
  const grouped = problem.rows[0][2] != null, items = grouped ? byGroup(problem.rows) : problem.rows;
  const host = el("div", { class: grouped ? "copies" : "flaws" }), size = grouped ? GROUPS_ON_PAGE : FLAWS_ON_PAGE;
  const draw = (from) => host.replaceChildren(...items.slice(from, from + size).map((item) => (grouped ? drawGroup(item, problem.key === EXACT) : drawFlaw(item))));
  const count = counted(problem.pictures, "picture") + (grouped ? ` in ${counted(problem.groups, "group")}` : "");
  const left = problem.pictures - problem.rows.length;
  const copy = el("button", { class: "button", type: "button", onclick: () => copyNames(problem, copy) }, "Copy file names");
  draw(0);
  return el("details", { class: "problem", "data-problem": problem.key, open: true },
    el("summary", {}, el("h3", {}, problem.name), el("span", { class: "muted" }, ` ${count}`)),
    el("p", { class: "muted" }, `${problem.meaning} Number: ${problem.measure}.`, left ? ` The first ${whole(problem.rows.length)} are listed here; uota inspect --quality FILE.csv lists all.` : ""),
    host, el("div", { class: "buttons" }, pageButtons(items.length, size, problem.name, draw), copy));
}

/** Lists of rows with the same group, in the order of the rows. */
function byGroup(rows) {
  const groups = new Map();
  for (const row of rows) groups.set(row[2], [...(groups.get(row[2]) ?? []), row]);
  return [...groups.values()];
}

const drawGroup = (rows, isExact) => el("div", { class: "flaws", role: "group", "aria-label": `${whole(rows.length)} pictures that look the same` },
  isExact ? el("p", { class: "muted" }, `${whole(rows[0][1])} identical pictures`) : null, rows.map((row) => drawFlaw(row, !isExact)));

function drawFlaw([file, value, , image], isMeasured = true) {
  const uri = image == null ? null : data.quality.images[image];
  return el("figure", { class: "flaw", "data-file": file },
    uri ? picture(uri, `File ${file}`, 96) : el("span", { class: "none" }, "not shown"),
    el("figcaption", {}, el("span", { class: "name" }, breakable(file)), isMeasured ? el("span", { class: "muted" }, ` ${short(value)}`) : null));
}

/** Buttons to the previous and next page, and the number of the page between them; nothing for a single page. */
function pageButtons(count, size, name, draw) {
  const pages = Math.ceil(count / size);
  if (pages < 2) return null;
  let page = 0;
  const status = el("span", { class: "muted", role: "status" });
  const step = (by, text) => el("button", { class: "button", type: "button", "aria-label": `${text} page of ${name}`, onclick: () => go(page + by) }, text);
  const previous = step(-1, "Previous"), next = step(1, "Next");
  const go = (to) => {
    page = clamp(to, 0, pages - 1);
    draw(page * size);
    status.textContent = `Page ${whole(page + 1)} of ${whole(pages)}`;
    previous.disabled = page === 0;
    next.disabled = page === pages - 1;
  };
  go(0);
  return [previous, status, next];
}

/** Copy the names, one a line; where the browser forbids it, offer them as a file. */
function copyNames(problem, button) {
  const text = problem.rows.map(([file]) => file).join("\n") + "\n", saved = () => download(`${problem.key}.txt`, text, "text/plain");
  if (!navigator.clipboard) return saved();
  return navigator.clipboard.writeText(text).then(() => { button.textContent = "Copied"; }, saved);
}
