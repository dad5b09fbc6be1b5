// One member of the list: its picture or name, its group and the group that it fits better, and its mark.

const BESIDE = 3; // members of a group besides the nearest

/** Members of a group to show beside a member: the nearest, and some that belong there. */
function besides(row, group, nearest) {
  const others = data.typical[group].filter((member) => member !== row.member && member !== nearest).slice(0, BESIDE);
  return strip([nearest < 0 ? null : shownMember(nearest, "most similar"), others.map((member) => shownMember(member))].flat());
}

function makeEntry(row) {
  const name = idOf(row.member), uri = data.pictures[row.member], [own, other] = data.nearest[row.member];
  const short = name.slice(name.lastIndexOf("/") + 1);
  const side = (label, group, nearest, said) => el("div", { class: "side" }, el("p", {}, el("span", { class: "muted" }, label), " ", el("b", {}, breakable(nameOf(group))), said ? el("span", { class: "muted" }, ` ${said}`) : null), besides(row, group, nearest));
  const alone = own < 0 ? "of which it is the only member" : "";
  const node = el("article", { class: data.has_pictures ? "entry" : "entry plain", tabindex: "-1", "aria-label": name, "data-member": row.member, onfocusin: () => select(row.member, false) },
    data.has_pictures ? el("div", { class: "face" }, uri ? picture(uri, `${NOUN} ${name}`, 128) : el("span", { class: "none" }, "no room for its picture")) : null,
    el("div", { class: "what" },
      el("p", { class: "name", title: name }, el("b", {}, breakable(data.id_name === "file" ? short : name))),
      el("p", { class: "muted" }, el("strong", { class: "probability" }, percent(row.probability)), " probability not to belong · down to here, ", el("strong", { class: "fdr" }, percent(row.fdr, 1)), " are expected to be false alarms")),
    el("div", { class: "sides" }, side("filed in", row.group, own, alone), side(row.fitsProbability >= 0.5 ? "fits better in" : "of the other groups, most like", row.fits, other, row.fitsProbability == null ? "" : `· belongs there with probability ${percent(row.fitsProbability)}`)),
    marking(row));
  updateEntry(node, row);
  return node;
}

/** The buttons of a mark, and where a wrong member goes. */
function marking(row) {
  const button = (act, text, key, press) => el("button", { type: "button", class: "button", "data-act": act, title: `${text} (key ${key})`, onclick: press }, text, el("kbd", { "aria-hidden": "true" }, key));
  const target = el("input", { type: "text", list: "group-names", "aria-label": "Group that it is moved to; empty: set aside", placeholder: "set aside", autocomplete: "off", spellcheck: "false",
    onchange: () => setMark(row, "wrong", target.value.trim()) });
  return el("div", { class: "marking" },
    button("wrong", "Wrong", "w", () => toggle(row, "wrong")), button("aside", "Set aside", "s", () => toggle(row, "aside")),
    button("right", "Right", "r", () => toggle(row, "right")), button("unsure", "Unsure", "u", () => toggle(row, "unsure")),
    el("label", { class: "target" }, el("span", { class: "muted" }, "moves to"), target));
}

/** What a mark amounts to: wrong members without a group to go to are set aside. */
const actOf = (member) => {
  const mark = markOf(member);
  return mark?.mark === "wrong" && !mark.to ? "aside" : (mark?.mark ?? "");
};

function act(row, what) {
  if (what === "aside") setMark(row, "wrong", "");
  else setMark(row, what);
}

function toggle(row, button) {
  const what = button === "wrong" && !goalOf(row) ? "aside" : button;
  if (actOf(row.member) === what) setMark(row, null);
  else act(row, what);
}

function updateEntry(node, row) {
  const mark = markOf(row.member), now = actOf(row.member);
  node.dataset.mark = mark?.mark ?? "";
  for (const button of node.querySelectorAll(".marking .button")) button.setAttribute("aria-pressed", String(button.dataset.act === now));
  const target = node.querySelector(".target");
  target.hidden = mark?.mark !== "wrong";
  target.querySelector("input").value = mark?.to ?? "";
}
