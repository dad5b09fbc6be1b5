// Single views: each beside its image, in which a frame shows the crop.

/** The image that a view was cropped from, with the crop's frame; null if it has no picture on this page. */
function cropPicture(index) {
  const uri = rankOf.has(imageOf(index)) ? shown.originals[data.shows[index]] : null;
  if (!uri) return null;
  const [top, left, high, wide] = data.boxes.subarray(4 * index, 4 * index + 4);
  const [height, width] = data.image_sizes.subarray(2 * index, 2 * index + 2);
  const share = (part, all) => `${(100 * part) / all}%`;
  return el("span", { class: "crop" }, picture(uri, `Image ${fileOf(index)} with the crop box`, Math.max(width, height)),
    el("i", { style: `left:${share(left, width)};top:${share(top, height)};width:${share(wide, width)};height:${share(high, height)}` }));
}

function makeSingle(index) {
  const image = imageOf(index), name = data.names[image], label = className(image);
  const select = selector(`${kindOf(index)} view ${index % data.views + 1} of ${name}`, () => [index], updateSelection);
  const crop = cropPicture(index);
  select.update();
  const node = el("article", { class: crop ? "single" : "single plain", "aria-label": name, "data-index": index },
    crop, viewPicture(index, { class: `cut${sizeOf(index) <= 40 ? " exact" : ""}` }),
    el("div", {}, el("p", {}, select.box, label ? el("b", {}, label, el("br")) : null, breakable(name),
      fileOf(index) === name ? null : el("span", { class: "muted" }, el("br"), "shows ", breakable(fileOf(index)))),
    el("p", { class: "muted" }, el("strong", { class: isFlagged(index) ? "low" : null }, captionOf(index)), ` · ${kindOf(index)} view · ${percent(areaOf(index), 1)} of the image`,
      isWrong(index) ? " · known to be an outlier" : null),
    el("button", { type: "button", class: "button", "data-index": index, onclick: () => openDetail(index) }, "Details")));
  return { select, node };
}

const areaOf = (index) => (data.boxes[4 * index + 2] * data.boxes[4 * index + 3]) / (data.image_sizes[2 * index] * data.image_sizes[2 * index + 1]);
