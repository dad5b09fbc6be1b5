// Which members the list shows.

const query = { search: "", group: "", least: 0, only: "", page: 0, found: [] };
const PER_PAGE = 24;
const LEAST = [[0.99, "above 99 %"], [0.9, "above 90 %"], [0.5, "above 50 %"], [0.2, "above 20 %"], [0, "all that are listed"]];
const ONLY = { "": "All", unmarked: "Not marked yet", wrong: "Marked wrong", right: "Marked right", unsure: "Marked unsure" };
const folded = (text) => text.toLowerCase();

/** Whether a member passes the filter by marks. */
const isMarked = (row) => !query.only || (markOf(row.member)?.mark ?? "unmarked") === query.only;

function find() {
  const text = folded(query.search.trim()), group = folded(query.group.trim());
  const exact = group && rows.some((row) => folded(nameOf(row.group)) === group);
  const inGroup = (row) => !group || (exact ? folded(nameOf(row.group)) === group : folded(nameOf(row.group)).includes(group));
  query.found = rows.filter((row) => row.probability >= query.least && inGroup(row) && isMarked(row) && (!text || folded(idOf(row.member)).includes(text)));
}
