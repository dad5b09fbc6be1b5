// Links to the sections of a page.

/** Scroll again after rows on the way, whose heights were estimated, have been drawn. */
const scrollOnceDrawn = (section) => requestAnimationFrame(() => requestAnimationFrame(() => section.scrollIntoView()));

/** Draw links to those of the sections, [[id, name], …], that are not hidden. */
function drawNavigation(sections) {
  const links = sections.filter(([id]) => !byId(id).hidden).map(([id, name]) => el("a", { href: `#${id}`, onclick: () => scrollOnceDrawn(byId(id)) }, name));
  byId("sections").append(el("ul", {}, links.map((link) => el("li", {}, link))));
  const current = () => {
    const passed = links.filter((link) => byId(link.hash.slice(1)).getBoundingClientRect().top < 140);
    links.forEach((link) => link.removeAttribute("aria-current"));
    const ended = scrollY + innerHeight >= document.documentElement.scrollHeight - 2;
    const now = (ended ? links : passed).at(-1) ?? links[0];
    now.setAttribute("aria-current", "true");
    now.closest("ul").scrollLeft = now.offsetLeft - 60;
  };
  addEventListener("scroll", current, { passive: true });
  current();
}
