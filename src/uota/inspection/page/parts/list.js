// The list of all scored images, or of single views: search, filters, order, pages and selection.

const listed = { drawn: [], views: [] };

function drawList() {
  const form = byId("query"), classes = [...new Set(Array.from({ length: data.images }, (_, image) => className(image)))].filter((name) => name != null).sort(collator.compare);
  const field = (name) => (value) => { query[name] = value; refresh(); };
  const typed = el("input", { type: "search", id: "search", oninput: () => field("search")(typed.value), autocomplete: "off", spellcheck: "false" });
  const captions = Object.entries(CAPTIONS).filter(([key]) => key !== "probability" || Object.values(data.arbiters).some((arbiter) => arbiter.probability));
  query.caption = data.none_found ? "score" : captions[0][0];
  const kinds = [...new Set(data.kinds)], isAnyNothing = data.nothing.some((one) => one);
  const only = selection("only", "Views", Object.entries(ONLY).filter(([key]) => key !== "nothing" || isAnyNothing).filter(([key]) => key !== "flagged" || !data.none_found).map(([key, [name]]) => [key, name]), field("only"));
  fill(form, {}, [
    el("div", { class: "field" }, el("label", { class: "label", for: "search" }, "Search by file name"), typed),
    selection("mode", "Show", [["images", data.grouped ? "Groups with views" : "Images with views"], ["views", "Single views"]], setMode),
    only,
    classes.length > 1 ? selection("filter", "Class", [["", "All classes"], ...classes.map((name) => [name, name])], field("label")) : null,
    kinds.length > 1 ? selection("kind", "Size of view", [["", "All sizes"], ...kinds.map((kind) => [kind, `${kind}, ${data.sizes[data.kinds.indexOf(kind)]} pixels`])], field("kind")) : null,
    selection("sort", `Order of ${WHAT}`, Object.entries(SORTS).map(([key, [name]]) => [key, name]), field("sort")),
    selection("caption", "Number under a view", captions.map(([key, [name]]) => [key, name]), field("caption"))]);
  byId("caption").value = query.caption;
  form.addEventListener("submit", (event) => event.preventDefault());
  drawSelection();
  onWeights(refresh);
}

/** Show images or single views; of these, at first the flagged ones. */
function setMode(mode) {
  Object.assign(query, { mode, only: mode === "views" && !data.none_found ? "flagged" : "" });
  byId("only").value = query.only;
  refresh();
}

/** Find and draw anew, from the first page. */
function refresh() {
  query.page = 0;
  find();
  listed.views = query.mode === "views" ? foundViews() : null;
  drawPage();
}

function drawPage() {
  const all = query.mode === "views" ? listed.views : query.images;
  const pages = Math.ceil(all.length / PER_PAGE), start = query.page * PER_PAGE;
  const part = all.slice(start, start + PER_PAGE);
  const made = query.mode === "views" ? part.map(makeSingle) : part.map(rowOf);
  if (query.mode === "images") made.forEach(updateRow);
  const host = byId("rows");
  host.className = query.mode === "views" ? "singles" : "";
  if (made.length !== host.children.length || made.some((one, place) => host.children[place] !== one.node)) host.replaceChildren(...made.map((one) => one.node));
  listed.drawn = made;
  byId("count").textContent = foundWords(all.length, start, part.length);
  for (const pager of document.querySelectorAll("nav.pager")) drawPager(pager, pages, query.page, (page) => { query.page = page; drawPage(); if (pager.id === "pager-below") byId("count").scrollIntoView(); });
  updateSelection();
}

function foundWords(count, start, drawn) {
  const what = query.mode === "views" ? "views" : WHAT, total = query.mode === "views" ? data.views * data.images : data.images;
  const words = count === total ? `${whole(count)} ${what}` : `${whole(count)} of ${whole(total)} ${what}`;
  return count > drawn ? `${words}; ${whole(start + 1)} to ${whole(start + drawn)} are shown` : words;
}

function drawSelection() {
  const button = (id, text, act) => el("button", { type: "button", class: "button", id, onclick: act }, text);
  byId("selection").append(
    button("select-all", "Select all listed", () => { foundViews().forEach((index) => selected.add(index)); updateSelection(); }),
    button("select-none", "Clear selection", () => { selected.clear(); updateSelection(); }),
    button("csv-selected", "Download selected as CSV", () => saveCsv("views.csv", viewRows([...selected].sort(inOrder)))),
    button("csv-listed", "Download all listed as CSV", () => saveCsv("views.csv", viewRows(foundViews()))),
    el("span", { class: "muted", id: "selected", role: "status" }));
}

function updateSelection() {
  for (const one of listed.drawn) one.select.update();
  byId("selected").textContent = selected.size ? `${countWords([...selected])} selected` : "";
  byId("csv-selected").disabled = byId("select-none").disabled = !selected.size;
}
