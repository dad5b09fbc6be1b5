// The data of the page: members and groups are known by their numbers.

const data = JSON.parse(byId("data").textContent);
const rows = data.rows.map(([member, group, probability, fdr, fits, fitsProbability]) => ({ member, group, probability, fdr, fits, fitsProbability }));
const idOf = (member) => data.ids[member];
const nameOf = (group) => data.names[group];
const NOUN = data.id_name === "file" ? "file" : "member";

/** A member as a picture with its name, or as its name alone. */
function shownMember(member, note = "") {
  const name = idOf(member), uri = data.pictures[member];
  const title = note ? `${name} (${note})` : name;
  if (!data.has_pictures) return el("li", { title, "data-member": member }, breakable(name), note ? el("span", { class: "muted" }, ` ${note}`) : null);
  return el("li", { title, "data-member": member }, uri ? picture(uri, title, 128) : el("span", { class: "none" }, breakable(name.slice(name.lastIndexOf("/") + 1))),
    note ? el("span", { class: "muted" }, note) : null);
}

const strip = (members) => el("ul", { class: data.has_pictures ? "strip" : "names" }, members);
