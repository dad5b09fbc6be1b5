// The list in pages, with one current member, which keys mark and move.

const KEYS = { w: "wrong", s: "aside", r: "right", u: "unsure" };
const listed = { drawn: [], current: null };

function drawList() {
  const form = byId("query");
  const change = (name, value) => { query[name] = value; refresh(); };
  const typed = (id, label, name, more = {}) => {
    const input = el("input", { type: "search", id, autocomplete: "off", spellcheck: "false", ...more, oninput: () => change(name, input.value) });
    return el("div", { class: "field" }, el("label", { class: "label", for: id }, label), input);
  };
  query.least = LEAST.find(([least]) => rows.some((row) => row.probability >= least) && least <= 0.5)[0];
  fill(form, {}, [typed("search", `Search by name`, "search"), typed("group", "Group", "group", { list: "group-names" }),
    selection("least", "Probability not to belong", LEAST, (value) => change("least", Number(value))),
    selection("only", "Marks", Object.entries(ONLY), (value) => change("only", value))]);
  byId("least").value = query.least;
  form.addEventListener("submit", (event) => event.preventDefault());
  byId("group-names").append(...Object.values(data.names).sort(collator.compare).map((value) => el("option", { value })));
  drawActions();
  onMark.push(updateMarks);
  addEventListener("keydown", pressed);
  refresh();
}

const collator = new Intl.Collator("en", { numeric: true });

function drawActions() {
  const button = (id, text, press) => el("button", { type: "button", class: "button", id, onclick: press }, text);
  byId("actions").append(
    button("save", "Download moves.csv", () => saveCsv("moves.csv", moveRows())),
    button("undo", "Undo", undoLast),
    button("previous", "Previous", () => step(-1)), button("next", "Next", () => step(1)),
    el("span", { class: "muted keys" }, "Keys: j k next, previous · w wrong · s set aside · r right · u unsure · z undo"));
  updateMarks();
}

/** Find and draw anew, from the first page. */
function refresh() {
  find();
  drawPage(0);
}

function drawPage(page, current = 0) {
  const pages = Math.ceil(query.found.length / PER_PAGE);
  query.page = clamp(page, 0, Math.max(0, pages - 1));
  const start = query.page * PER_PAGE, part = query.found.slice(start, start + PER_PAGE);
  listed.drawn = part.map((row) => ({ row, node: makeEntry(row) }));
  byId("entries").replaceChildren(...(part.length ? listed.drawn.map(({ node }) => node) : [el("p", { class: "empty" }, "Nothing passes the filters.")]));
  const count = query.found.length;
  byId("count").textContent = `${counted(count, NOUN)}${count > part.length ? `; ${whole(start + 1)} to ${whole(start + part.length)} are shown` : ""}`;
  for (const pager of document.querySelectorAll("nav.pager")) drawPager(pager, pages, query.page, (to) => { drawPage(to); if (pager.id === "pager-below") byId("count").scrollIntoView(); });
  const chosen = part[current < 0 ? part.length - 1 : current];
  select(chosen ? chosen.member : null, false);
}

/** Make a member the current one; `reveal`: scroll to it and give it the focus. */
function select(member, reveal) {
  listed.current = member;
  for (const { row, node } of listed.drawn) {
    if (row.member === member) node.setAttribute("aria-current", "true");
    else node.removeAttribute("aria-current");
  }
  if (!reveal) return;
  const node = listed.drawn.find(({ row }) => row.member === member)?.node;
  node?.focus({ preventScroll: true });
  node?.scrollIntoView({ block: "center" });
}

/** Go to the next member or the previous one, also across pages. */
function step(by) {
  const place = listed.drawn.findIndex(({ row }) => row.member === listed.current) + by;
  const turn = place >= listed.drawn.length ? 1 : place < 0 ? -1 : 0;
  const pages = Math.ceil(query.found.length / PER_PAGE);
  if (turn && (query.page + turn < 0 || query.page + turn >= pages)) return;
  if (turn) drawPage(query.page + turn, turn < 0 ? -1 : 0);
  select(turn ? listed.current : listed.drawn[place].row.member, true);
}

function undoLast() {
  const member = undoMark();
  if (member != null) showMember(member);
}

/** Go to a member, without the filters if they hide it. */
function showMember(member) {
  if (!query.found.some((row) => row.member === member)) clearFilters();
  const place = query.found.findIndex((row) => row.member === member);
  if (place < 0) return;
  const page = Math.floor(place / PER_PAGE);
  if (page !== query.page || !listed.drawn.some(({ row }) => row.member === member)) drawPage(page);
  select(member, true);
}

function clearFilters(changes = {}) {
  Object.assign(query, { search: "", group: "", least: 0, only: "" }, changes);
  for (const name of ["search", "group", "least", "only"]) byId(name).value = query[name];
  refresh();
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
  if (event.key === "j" || event.key === "k") step(event.key === "j" ? 1 : -1);
  else if (event.key === "z") undoLast();
  else if (KEYS[event.key] && listed.current != null) markCurrent(KEYS[event.key]);
  else return;
  event.preventDefault();
}

function markCurrent(what) {
  act(rows.find((row) => row.member === listed.current), what);
  step(1);
}

function updateMarks(member = null) {
  for (const { row, node } of listed.drawn) if (member === null || row.member === member) updateEntry(node, row);
  const said = Object.keys(MARKS).map((mark) => [countMarks(mark), mark]).filter(([count]) => count).map(([count, mark]) => `${whole(count)} ${mark}`);
  const kept = isKept ? "" : " This browser does not keep marks once the page is closed: download them.";
  byId("progress").textContent = (marks.size ? `${counted(marks.size, "mark")}: ${said.join(", ")}.` : "Nothing is marked yet.") + kept;
  byId("save").disabled = !marks.size;
  byId("undo").disabled = !undone.length;
}
