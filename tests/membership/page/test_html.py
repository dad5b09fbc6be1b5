"""The page in a browser: what it shows of the verdicts, marks by keys, and lists that --apply reads.

With UOTA_SCREENSHOTS=FOLDER, the screenshots of the tests are kept there, as misfiled-WIDTH-SCHEME-SECTION.png.
"""

import csv
import os
import shutil
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.membership.test_moves import tree

import uota
from uota.commands.cli import main
from uota.membership.api import judge
from uota.membership.inputs.pictures import looking, read_folder
from uota.membership.path_cells import escape_path
from uota.settings.pretrain import Reading

WINDOWS = [(1280, "light"), (400, "dark")]
# Groups of pictures of a pattern each, and files in a group that show the pattern of another.
GROUPS = ["<script>alert(1)", "b\udcff", "=c", 'd"e', "-", "f\nf", "g", "'=c"]
WRONG = {"<script>alert(1)/=x,'\".png": 1, "b\udcff/<b>\n.png": 2, "g/\\x41.png": 4}


def paint(path, thing, light):
    pattern = torch.rand(4, 4, 3, generator=torch.Generator().manual_seed(thing))
    pixels = (255 * light * pattern).to(torch.uint8).repeat_interleave(10, 0).repeat_interleave(10, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.numpy()).save(os.fsencode(path), "PNG")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page") / "<script>'\"&"
    for thing, group in enumerate(GROUPS):
        for light in range(5):
            paint(folder / group / f"{light}.png", thing, 0.6 + 0.1 * light)
    for file, thing in WRONG.items():
        paint(folder / file, thing, 0.75)
    return folder


@pytest.fixture(scope="module")
def found(folder):
    return judge(read_folder(str(folder), looking("thumbnails", None, Reading())))


@pytest.fixture(scope="module")
def page(found, tmp_path_factory):
    return found.save_page(tmp_path_factory.mktemp("written") / "misfiled.html")


@pytest.fixture
def opened(window, page):
    window.open(page)
    window("localStorage.clear()")
    window.open(page)
    choose(window, "least", "0")
    return window


def choose(window, name, value):
    """Choose a value of a field, by its identifier."""
    window(
        "const e = document.getElementById(arguments[0]); e.value = arguments[1];"
        "for (const type of ['input', 'change']) e.dispatchEvent(new Event(type))",
        name,
        value,
    )


def press(window, keys):
    for key in keys:
        window("document.body.dispatchEvent(new KeyboardEvent('keydown', {key: arguments[0], bubbles: true}))", key)


def shown(window):
    return window.all(".entry", "e.getAttribute('aria-label')")


def rows_of(window):
    return list(csv.DictReader(StringIO(window("return csvText(moveRows())"), newline="")))


@pytest.mark.parametrize(("width", "scheme"), WINDOWS)
def test_every_section_is_drawn_without_errors_or_horizontal_scrolling(window, page, tmp_path, width, scheme):
    window.open(page, width, scheme=scheme)
    place = Path(os.environ.get("UOTA_SCREENSHOTS", tmp_path))
    for section in ("source", "list", "groups"):
        window(
            "document.getElementById(arguments[0]).scrollIntoView(); await new Promise(requestAnimationFrame)", section
        )
        assert window.driver.save_screenshot(str(place / f"misfiled-{width}-{scheme}-{section}.png"))
    assert window("return document.documentElement.scrollWidth") == width
    assert window.log() == []
    assert min(window.all("main *:not(svg *)", "parseFloat(getComputedStyle(e).fontSize)")) >= 12
    assert all(window.all("img", "e.alt.trim().length > 3"))
    assert all(window.all("input, select", "e.labels.length > 0 || e.ariaLabel"))


def test_the_list_is_worst_first_with_members_of_both_groups_beside_each(opened, found):
    members, order = found.members, found.members.worst_first()
    ids = [escape_path(found.ids[member]) for member in order]
    assert shown(opened) == ids[:24]
    assert set(ids[:3]) == {escape_path(file) for file in WRONG}
    assert opened("return document.getElementById('source').textContent") == found.origin.name
    first = order[0]
    assert opened("return document.querySelector('.probability').textContent") == (
        f"{100 * members.probability[first]:.0f}\u00a0%"
    )
    groups = [escape_path(found.names[int(of[first])]) for of in (members.group, members.fits)]
    assert opened("return [...document.querySelector('.sides').querySelectorAll('p b')].map((e) => e.textContent)") == (
        groups
    )
    beside = opened("return [...document.querySelectorAll('.entry')[0].querySelectorAll('.side')]"
                    ".map((s) => [...s.querySelectorAll('li')].map((e) => Number(e.dataset.member)))")  # fmt: skip
    nearest = [int(members.nearest_own[first]), int(members.nearest_other[first])]
    assert [each[0] for each in beside] == nearest
    for near, group in zip(beside, (members.group, members.fits), strict=True):
        assert len(near) == len(set(near)) == 4
        assert first not in near
        assert {int(members.group[member]) for member in near} == {int(group[first])}
    assert opened.all(".entry .face img", "e.src.startsWith('data:image/webp')") == [True] * 24


def test_filters_find_groups_names_probabilities_and_marks(opened, found):
    choose(opened, "search", "x41")
    assert shown(opened) == ["g/\\\\x41.png"]
    choose(opened, "search", "")
    choose(opened, "group", "=c")
    inside = [index for index, member in enumerate(found.ids) if member.startswith("=c/")]
    assert len(shown(opened)) == len(inside)
    choose(opened, "group", "")
    choose(opened, "least", "0.5")
    assert len(shown(opened)) == int((found.members.probability >= 0.5).sum())
    press(opened, "r")
    choose(opened, "only", "unmarked")
    assert len(shown(opened)) == int((found.members.probability >= 0.5).sum()) - 1
    choose(opened, "only", "right")
    assert len(shown(opened)) == 1
    choose(opened, "search", "no such name")
    assert shown(opened) == []


def test_keys_mark_move_on_and_undo_and_marks_are_kept(opened, page, found):
    names = shown(opened)
    press(opened, "wjrsu")
    assert opened("return document.querySelector('.entry[aria-current]').getAttribute('aria-label')") == names[5]
    marks = opened.all(".entry", "e.dataset.mark")
    assert marks[:6] == ["wrong", "", "right", "wrong", "unsure", ""]
    press(opened, "z")
    assert opened.all(".entry", "e.dataset.mark")[4] == ""
    assert opened("return document.querySelector('.entry[aria-current]').getAttribute('aria-label')") == names[4]
    assert "3 marks: 2 wrong, 1 right" in opened("return document.getElementById('progress').textContent")
    opened("document.querySelector('.entry [data-act=wrong]').click()")  # a second time
    assert opened.all(".entry", "e.dataset.mark")[:4] == ["", "", "right", "wrong"]
    opened.open(page)
    choose(opened, "least", "0")
    assert opened.all(".entry", "e.dataset.mark")[:4] == ["", "", "right", "wrong"]
    assert [row["mark"] for row in rows_of(opened)] == ["right", "wrong"]


def test_keys_that_are_typed_into_a_field_mark_nothing(opened):
    opened.driver.find_element("id", "search").send_keys("wrsu")
    assert rows_of(opened) == []


def test_going_on_turns_pages(opened, found):
    press(opened, "j" * 24)
    order = found.members.worst_first()
    assert shown(opened)[0] == escape_path(found.ids[order[24]])
    press(opened, "k")
    assert opened("return document.querySelector('.entry[aria-current]').getAttribute('aria-label')") == (
        escape_path(found.ids[order[23]])
    )


def test_a_list_of_marks_is_applied_and_undone(opened, found, folder, tmp_path, capsys):
    archive = tmp_path / "archive"
    shutil.copytree(folder, archive)
    before = tree(archive)
    names = shown(opened)
    press(opened, "wwwsr")
    rows = rows_of(opened)
    assert list(rows[0]) == ["file", "to", "mark", "group"]
    assert {row["to"] for row in rows[:3]} == {"b\\udcff", "'=c", "./-"}
    assert rows[3]["to"] == rows[4]["to"] == ""
    assert [row["mark"] for row in rows] == ["wrong"] * 4 + ["right"]
    (tmp_path / "moves.csv").write_text(opened("return csvText(moveRows())"), encoding="utf-8")
    command = ["misfiled", str(archive), f"--apply={tmp_path / 'moves.csv'}"]
    assert main(command) == 0
    assert "files to move: 4 (3 to other groups, 1 into" in capsys.readouterr().out
    assert tree(archive) == before
    assert main([*command, "--yes"]) == 0
    for file, thing in WRONG.items():
        assert (archive / GROUPS[thing] / file.partition("/")[2]).exists()
        assert not (archive / file).exists()
    aside = next(member for member in found.ids if escape_path(member) == names[3])
    assert (tmp_path / "archive-set-aside" / aside).exists()
    assert main(["misfiled", str(archive), f"--apply={tmp_path / 'moves-undo.csv'}", "--yes"]) == 0
    assert tree(archive) == before


def test_another_group_can_be_named(opened):
    press(opened, "w")
    field = opened.driver.find_element("css selector", ".entry .target input")
    field.clear()
    field.send_keys("g\t")
    assert [row["to"] for row in rows_of(opened)] == ["g"]
    field.clear()
    field.send_keys("\t")
    assert [row["to"] for row in rows_of(opened)] == [""]
    assert opened("return document.querySelector('.entry [data-act=aside]').getAttribute('aria-pressed')") == "true"


def test_without_storage_marks_are_said_to_be_lost(opened):
    opened("Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }")
    press(opened, "w")
    assert "does not keep marks" in opened("return document.getElementById('progress').textContent")
    assert len(rows_of(opened)) == 1


@pytest.mark.parametrize("value", ["=1+1", "'=1", "-a,b", "＝1", 'a"b', "'plain", None])
def test_cells_are_escaped_as_in_python(opened, value):
    from uota.io.csv_files import csv_text

    assert opened("return csvText(arguments[0])", [[value, "second"]]) == csv_text([[value, "second"]])


def test_members_without_pictures_are_shown_by_their_names(window, tmp_path):
    group = np.repeat(np.arange(12), 6)
    vectors = np.eye(12)[group] + 0.1 * np.random.default_rng(0).normal(size=(72, 12))
    vectors[7] = vectors[70]
    ids = [f"</script><b>{row}\\alpha, a sentence that is long enough to wrap on a narrow screen" for row in range(72)]
    found = uota.misfiled(vectors, [f"<i>{number}" for number in group], ids)
    window.open(found.save_page(tmp_path / "names.html"), 400)
    window("localStorage.clear()")
    choose(window, "least", "0")
    assert window.log() == []
    assert window("return document.documentElement.scrollWidth") == 400
    assert shown(window)[0] == ids[7]
    assert window.all(".entry .names", "e.children.length")[:2] == [4, 4]
    assert window.all("img", "1") == []
    assert "--apply" not in window("return document.getElementById('how').textContent")
    window("document.querySelector('.entry [data-act=wrong]').click()")
    assert rows_of(window) == [{"id": ids[7], "to": "<i>11", "mark": "wrong", "group": "<i>1"}]


def test_pictures_of_given_embeddings_can_be_shown(window, found, folder, tmp_path):
    vectors = np.random.default_rng(0).normal(size=(len(found.ids), 4))
    judged = uota.misfiled(vectors, found.members.group, found.ids)
    page = judged.save_page(tmp_path / "given.html", [folder / name for name in found.ids])
    assert page.read_text().count("data:image/webp") == len(found.ids)
    with pytest.raises(uota.UotaError, match=r"there are 1 pictures and \d+ members; give one for each"):
        judged.html([folder / found.ids[0]])


def test_a_page_has_no_more_pictures_than_there_is_room_for(window, found, tmp_path, monkeypatch):
    monkeypatch.setattr("uota.membership.page.html.ROOM", 6000)
    page = found.save_page(tmp_path / "small.html")
    assert page.stat().st_size < 6000 + len(found.html()) / 2 + 60_000
    assert 0 < sum(map(len, page.read_text().split('"data:image/webp')[1:])) < 60_000
    window.open(page)
    choose(window, "least", "0")
    assert window.log() == []
    has = window.all(".entry", "e.querySelector('.face img') !== null")
    assert has[0]
    assert not all(has)
    assert "no room" in window("return document.querySelector('.face .none').textContent")


def test_a_page_needs_no_network(page):
    assert "://" not in page.read_text().replace("http://www.w3.org/2000/svg", "")
