// What a person thinks of members: kept in the browser where that is possible, undone step by step, and saved as a list.

const MARKS = { wrong: "wrong", right: "right", unsure: "" }; // as the list writes them
const KEY = `uota misfiled ${data.key}`;
let isKept = true;
const marks = readMarks(), undone = [], onMark = [];

function readMarks() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    return new Map(Object.entries(kept).filter(([, one]) => one?.mark in MARKS && [one.id, one.group, one.to].every((text) => typeof text === "string")).map(([member, one]) => [Number(member), one]));
  } catch { // forbidden, or not written here
    isKept = false;
    return new Map();
  }
}

function keepMarks() {
  try {
    if (marks.size) localStorage.setItem(KEY, JSON.stringify(Object.fromEntries(marks)));
    else localStorage.removeItem(KEY);
    isKept = true;
  } catch { // forbidden, or full
    isKept = false;
  }
}

const markOf = (member) => marks.get(member) ?? null;

/** The group that a wrong member is moved to unless a person says otherwise; empty if that would be wrong more often than right. */
const goalOf = (row) => (row.fitsProbability >= 0.5 ? nameOf(row.fits) : "");

/** Mark a member, or take its mark away; `to` is the group that it is moved to, empty to set it aside. */
function setMark(row, mark, to = goalOf(row)) {
  const before = markOf(row.member);
  const next = mark && { mark, to: mark === "wrong" ? to : "", id: idOf(row.member), group: nameOf(row.group) };
  if (before?.mark === next?.mark && before?.to === next?.to) return;
  undone.push([row.member, before]);
  putMark(row.member, next);
}

function putMark(member, mark) {
  if (mark) marks.set(member, mark);
  else marks.delete(member);
  keepMarks();
  for (const update of onMark) update(member);
}

/** Take the last mark back; returns the member that it was given to. */
function undoMark() {
  const last = undone.pop();
  if (!last) return null;
  putMark(...last);
  return last[0];
}

const places = new Map(rows.map((row, place) => [row.member, place]));
const placeOf = (member) => places.get(member) ?? rows.length;

/** The marked members as a list that `uota misfiled FOLDER --apply` reads; a dash alone would mean to set aside. */
const moveRows = () => [[data.id_name, "to", "mark", "group"],
  ...[...marks].sort(([a], [b]) => placeOf(a) - placeOf(b)).map(([, mark]) => mark).map(({ id, to, mark, group }) => [id, to === "-" ? "./-" : to, MARKS[mark], group])];

const countMarks = (mark) => [...marks.values()].filter((one) => one.mark === mark).length;
