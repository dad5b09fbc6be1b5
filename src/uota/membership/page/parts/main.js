// The header of the page, and the calls that draw all sections.

function drawHead() {
  byId("list-title").textContent = `${NOUN === "file" ? "Files" : "Members"}${data.likely ? " that probably do not belong" : ", the least fitting first"}`;
  byId("source").append(...breakable(data.source || "Members of groups"));
  byId("lead").textContent = `${counted(data.members, NOUN)} in ${counted(data.groups_total, "group")} were compared with the others of their group and with all other groups. Nothing was trained.`;
  const [low, high] = data.interval.map((end) => (100 * end).toFixed(1));
  const precision = new Map(data.found).get(data.score);
  const figures = [
    [`of the ${NOUN}s estimated not to belong (95\u00a0% interval ${low} to ${high}\u00a0%)${data.foreign ? `; of these, about ${percent(data.foreign)} to none of the groups` : ""}`, percent(data.share, 1)],
    [`${NOUN}s with a probability above 50\u00a0%${data.likely ? `, of which ${percent(data.likely_fdr)} are expected to be false alarms` : ""}`, whole(data.likely)],
    [`average precision of the score in finding ${NOUN}s that were exchanged on purpose`, precision == null ? "–" : precision.toFixed(2)],
  ];
  byId("figures").append(...figures.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  byId("doubt").hidden = !data.is_doubtful;
  byId("doubt").textContent = `So high a share usually means that the ${data.has_pictures ? "eyes" : "embeddings"} cannot tell: choose others.`;
  drawCandidates();
  drawHow();
}

/** The scores among which one was chosen, the best first. */
function drawCandidates() {
  const row = ([name, precision]) => el("tr", name === data.score ? { class: "chosen" } : {}, el("td", {}, name, name === data.score ? " (chosen)" : null), el("td", { class: "number" }, precision.toFixed(3)));
  const table = el("table", {}, el("caption", {}, `Average precision in finding ${NOUN}s exchanged on purpose.`),
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Score"), el("th", { class: "number", scope: "col" }, "Average precision"))), el("tbody", {}, data.found.map(row)));
  byId("candidates").append(el("summary", {}, `Score, chosen by that: ${data.score}`), el("div", { class: "scroll" }, table));
}

/** How to use the list. */
function drawHow() {
  const code = (text) => el("code", {}, text);
  const apply = data.command
    ? ["Then download the list, and run ", code(`${data.command} --apply moves.csv`), ": it says what it would move; with ", code("--yes"), " it does, never overwrites a file, and writes a list that undoes it."]
    : ["Then download the list: it has what you marked, and the group that each belongs to."];
  byId("how").append(`The most suspicious come first. Mark each as wrong or right until most of those that follow are right: the share of false alarms says what to expect. `, ...apply);
  const unlisted = data.members - rows.length;
  byId("unlisted").textContent = unlisted ? `${counted(unlisted, NOUN)} of lower probability are not listed here; the table has all.` : "";
}

drawHead();
drawList();
drawGroups();
drawNavigation([["list", "List"], ["splits", "Two things"], ["merges", "Same thing"], ["groups", "Groups"]]);
