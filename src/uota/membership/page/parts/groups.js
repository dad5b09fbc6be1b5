// Groups: those that look like two things, pairs that look like one, and how many members of each are expected to be wrong.

const part = (label, size, members) => el("div", { class: "side" }, el("p", {}, label, " ", el("span", { class: "muted" }, counted(size, NOUN))), strip(members.map((member) => shownMember(member))));

function drawGroups() {
  byId("splits").hidden = !data.splits.length;
  byId("splits-body").append(...data.splits.map(({ group, probability, sizes, parts }) => el("article", { class: "proposal", "data-group": group },
    el("p", {}, groupLink(group), el("span", { class: "muted" }, ` two things with probability ${percent(probability)}`)),
    el("div", { class: "sides" }, parts.map((members, place) => part(place ? "Smaller part" : "Larger part", sizes[place], members))))));
  byId("merges").hidden = !data.merges.length;
  byId("merges-body").append(...data.merges.map(({ groups, probability, sizes, members }) => el("article", { class: "proposal", "data-group": groups[0] },
    el("p", { class: "muted" }, `the same thing with probability ${percent(probability)}`),
    el("div", { class: "sides" }, groups.map((group, place) => part(groupLink(group), sizes[place], members[place]))))));
  drawTable();
}

function groupLink(group) {
  return el("button", { type: "button", class: "link", title: "Show its members in the list", onclick: () => {
    clearFilters({ group: nameOf(group) });
    byId("list").scrollIntoView();
  } }, breakable(nameOf(group)));
}

function drawTable() {
  const more = data.groups_total > data.groups.length ? [` The first ${whole(data.groups.length)} of ${whole(data.groups_total)} are listed; `, el("code", {}, "--groups-table"), " writes all."] : [];
  byId("groups-lead").append(`By the number of ${NOUN}s that are expected not to belong.`, ...more);
  const heads = ["Group", "Size", "Expected wrong", "Two things", "Most similar to", "Same thing"];
  const row = ([group, size, expected, split, twin, merge]) => el("tr", {}, el("td", {}, groupLink(group)), ...[whole(size), expected.toFixed(1), percent(split)].map((text) => el("td", { class: "number" }, text)),
    el("td", {}, twin < 0 ? "" : breakable(nameOf(twin))), el("td", { class: "number" }, percent(merge)));
  byId("groups-body").append(el("table", {}, el("thead", {}, el("tr", {}, heads.map((name, place) => el("th", { scope: "col", class: [1, 2, 3, 5].includes(place) ? "number" : null }, name)))), el("tbody", {}, data.groups.map(row))));
}
