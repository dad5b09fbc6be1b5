// For grouped sources: the files that look misfiled, most probable first, and the groups in which they fit better.

const PAGE_SIZE = 30;

function drawFiling() {
  const filing = data.filing;
  if (!filing) return;
  byId("files").hidden = false;
  byId("files-lead").textContent = `${whole(filing.files)} files in ${whole(filing.groups)} groups; an estimated ${percent(filing.share, 1)} of them are in a wrong group.`;
  const body = byId("files-body"), host = el("div");
  const save = el("button", { class: "button", type: "button", id: "files-csv", onclick: () => saveCsv("files.csv", filingRows()) }, "Download the list as CSV");
  body.append(host, el("div", { class: "buttons" }, save));
  if (!filing.pictured.length) {
    host.append(el("p", { class: "empty" }, "No file has a probability above 50 % of being misfiled."));
    return;
  }
  let drawn = 0;
  const more = el("button", { class: "button", type: "button", onclick: () => show() }, "Show more");
  const show = () => {
    const next = Math.min(filing.pictured.length, drawn + PAGE_SIZE);
    for (; drawn < next; drawn += 1) host.append(misfiled(filing, drawn));
    more.hidden = drawn === filing.pictured.length;
  };
  save.before(more);
  show();
}

function misfiled(filing, place) {
  const [file, group, probability, fits] = filing.rows[place];
  return el("article", { class: "misfiled", "data-file": file },
    picture(filing.pictures[filing.pictured[place]], `File ${file}`, 96),
    el("p", {}, el("b", {}, file.slice(file.lastIndexOf("/") + 1)), el("br"), `in ${group}`, el("br"), el("span", { class: "muted" }, `misfiled with probability ${percent(probability)}`)),
    picture(filing.pictures[filing.better[place]], `A file of ${fits}`, 96),
    el("p", {}, el("span", { class: "muted" }, "fits better in"), el("br"), fits));
}

const filingRows = () => [["file", "group", "outlier_probability", "fits_better"], ...data.filing.rows];
