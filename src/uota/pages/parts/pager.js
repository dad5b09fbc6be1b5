// Page numbers.

/** The pages to offer: the first, the last and those around the current one; null stands for a gap. */
function offered(pages, current) {
  const near = [0, 1, pages - 2, pages - 1, current - 2, current - 1, current, current + 1, current + 2];
  const numbers = [...new Set(near)].filter((page) => page >= 0 && page < pages).sort((a, b) => a - b);
  return numbers.flatMap((page, place) => (place && page > numbers[place - 1] + 1 ? [null, page] : [page]));
}

/** Fill `host`, a <nav>, with buttons that call go(page); arrow keys, Home and End move between pages. */
function drawPager(host, pages, current, go) {
  host.hidden = pages < 2;
  const turn = (page) => {
    go(clamp(page, 0, pages - 1));
    host.querySelector("[aria-current]")?.focus({ preventScroll: true });
  };
  const button = (page, text, label, off = false) => el("button", { type: "button", class: "button", disabled: off,
    "aria-label": label, "aria-current": page === current && text !== "←" && text !== "→" ? "page" : null, onclick: () => turn(page) }, text);
  fill(host, {}, [
    button(current - 1, "←", "Previous page", current === 0),
    offered(pages, current).map((page) => (page == null ? el("span", { "aria-hidden": "true" }, "…") : button(page, String(page + 1), `Page ${page + 1} of ${pages}`))),
    button(current + 1, "→", "Next page", current === pages - 1)]);
  host.onkeydown = (event) => {
    const to = { ArrowLeft: current - 1, ArrowRight: current + 1, Home: 0, End: pages - 1 }[event.key];
    if (to == null) return;
    event.preventDefault();
    turn(to);
  };
}
