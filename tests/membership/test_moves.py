"""Lists of moves beside what is there: where files go, what is refused, and what an earlier run left."""

import os
import re

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.membership.test_path_cells import NAMES

from uota.errors import UotaError
from uota.io.csv_files import csv_text
from uota.membership.move_apply import carry_out
from uota.membership.moves import plan_moves
from uota.membership.path_cells import escape_path


def fill(folder, files):
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(name))


def tree(folder):
    """Whatever is in a folder, and beside it, by name; files with content and time."""
    found = {}
    for top in (folder, folder.with_name(f"{folder.name}-set-aside")):
        for here, folders, files in os.walk(os.fsencode(top)):
            found |= {os.path.join(here, name): None for name in folders}
            for name in files:
                path = os.path.join(here, name)
                with open(path, "rb") as file:
                    found[path] = file.read(), os.stat(path).st_mtime_ns
    return found


@pytest.fixture
def things(tmp_path):
    fill(tmp_path / "things", ["cat/1.png", "cat/2.png", "dog/1.png", "dog/deep/3.png"])
    return tmp_path / "things"


def planned(things, *rows, header="file,to", **options):
    things.with_name("moves.csv").write_text("\n".join((header, *rows)))
    return plan_moves(things, things.with_name("moves.csv"), **options)


def pairs(plan):
    return [(move.source, move.target) for move in plan.moves]


def test_files_go_to_groups_or_are_set_aside_with_their_group(things):
    plan = planned(things, "cat/2.png,dog", "./dog//deep/3.png,cat/", "dog/1.png,-", "cat/1.png,")
    assert pairs(plan) == [
        ("cat/2.png", "dog/2.png"),
        ("dog/deep/3.png", "cat/3.png"),
        ("dog/1.png", "../things-set-aside/dog/1.png"),
        ("cat/1.png", "../things-set-aside/cat/1.png"),
    ]


def test_a_name_that_is_taken_gets_a_number(things):
    fill(things, ["dog/1 (2).png", "owl/1.png", "owl/1.PNG"])
    plan = planned(things, "cat/1.png,dog", "owl/1.png,dog", "owl/1.PNG,cat")
    assert [move.target for move in plan.moves] == ["dog/1 (3).png", "dog/1 (4).png", "cat/1.PNG"]


def test_files_whose_names_differ_by_case_only_are_told_apart(things):
    fill(things, ["owl/a.png", "bat/A.png"])
    assert [move.target for move in planned(things, "owl/a.png,dog", "bat/A.png,dog").moves] == [
        "dog/a.png",
        "dog/A (2).png",
    ]


def test_only_what_is_marked_wrong_moves(things):
    plan = planned(things, "cat/1.png,dog,right", "cat/2.png,dog,wrong", "dog/1.png,cat,", header="file,to,mark")
    assert pairs(plan) == [("cat/2.png", "dog/2.png")]
    assert plan.kept == 2


def test_what_is_gone_or_in_place_is_counted(things):
    plan = planned(things, "cat/9.png,dog", "cat/1.png,cat", "owl/1.png,dog")
    assert (plan.moves, plan.gone, plan.in_place) == ([], ["cat/9.png", "owl/1.png"], 1)


def test_planning_changes_nothing(things):
    before = tree(things)
    planned(things, "cat/1.png,owl", "cat/2.png,", new_groups=True)
    assert tree(things) == before
    assert sorted(os.listdir(things.parent)) == ["moves.csv", "things"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("../moves.csv,dog", "line 2: '../moves.csv' is no path within things"),
        ("cat/../../moves.csv,dog", "is no path within things"),
        ("../things-set-aside/../moves.csv,dog", "is no path within things"),
        ("/etc/passwd,dog", "'/etc/passwd' is no path within things"),
        (",dog", "'' is no path within things"),
        ("cat/1.png,../other", "'../other' is no path within things"),
        ("cat/1.png,/tmp", "'/tmp' is no path within things"),
        ("cat/1.png,.", "'.' is no path within things"),
        ("cat/1\0.png,dog", r"'cat/1\x00.png' is no path within things"),
        ("cat,dog", "cat is a link, a folder or a device"),
        ("cat/link.png,dog", "cat/link.png is a link, a folder or a device"),
        ("out/x.png,dog", "'out/x.png' leads out of things through a link"),
        ("cat/1.png,out/deep", "'out/deep' leads out of things through a link"),
        ("cat/1.png,out", "'out/file' leads out of things through a link"),
        ("cat/1.png,owl", "there is no group owl (--new-groups would make it)"),
        ("cat/1.png,dog/1.png", "dog/1.png is no folder"),
        ("cat/1.png,dog\n./cat/1.png,owl", "line 3: there is no group owl"),
        ("cat/1.png,dog\ncat//1.png,dog", "line 3: cat/1.png is named twice"),
        ("cat/9.png,dog\ncat/9.png,dog", "line 3: cat/9.png is named twice"),
    ],
)
def test_a_row_that_is_wrong_stops_the_list(things, row, message):
    outside = things.with_name("outside")
    fill(outside, ["x.png"])
    (things / "out").symlink_to(outside)
    (things / "cat" / "link.png").symlink_to(things / "cat" / "1.png")
    with pytest.raises(UotaError, match=re.escape(message)):
        planned(things, row)


def test_a_link_in_the_folder_names_the_same_file(things):
    (things / "kitten").symlink_to(things / "cat")
    with pytest.raises(UotaError, match=r"line 3: cat/1.png is named twice"):
        planned(things, "cat/1.png,dog", "kitten/1.png,dog")


def test_many_wrong_rows_are_counted(things):
    with pytest.raises(UotaError, match=r"line 2: .*line 3: .*line 4: .* and 2 more such rows; nothing was moved"):
        planned(things, *["cat/1.png,owl"] * 5)


def test_a_group_named_as_setting_aside_is_asked_about(things):
    (things / "-").mkdir()
    assert pairs(planned(things, "cat/1.png,./-")) == [("cat/1.png", "-/1.png")]
    with pytest.raises(UotaError, match="line 2: - is a group and stands for setting aside"):
        planned(things, "cat/1.png,'-")


def test_a_cell_is_read_as_tables_write_it_and_else_as_the_very_name(things):
    fill(things, ["=cat/1.png", "'=cat/1.png", "a\\x41.png", "dog/\\n.png"])
    assert pairs(planned(things, "'=cat/1.png,dog")) == [("=cat/1.png", "dog/1 (2).png")]
    assert pairs(planned(things, "\\x27=cat/1.png,dog")) == [("'=cat/1.png", "dog/1 (2).png")]
    assert pairs(planned(things, "=cat/1.png,dog")) == [("=cat/1.png", "dog/1 (2).png")]
    assert pairs(planned(things, "a\\x41.png,dog", "dog/\\\\n.png,'=cat")) == [
        ("a\\x41.png", "dog/a\\x41.png"), ("dog/\\n.png", "=cat/\\n.png")]  # fmt: skip
    fill(things, ["aA.png"])
    assert pairs(planned(things, "a\\x41.png,dog")) == [("aA.png", "dog/aA.png")]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (("cat/1.png,dog/9.png", "cat/2.png,dog/9.png"), "line 3: dog/9.png is where the file of another row goes"),
        (("cat/1.png,../x.png",), "'../x.png' is no path within things"),
    ],
)
def test_a_list_of_exact_paths_is_checked(things, rows, message):
    with pytest.raises(UotaError, match=re.escape(message)):
        planned(things, *rows, header="file,to_file")


def test_an_exact_path_that_is_taken_is_left(things):
    plan = planned(things, "cat/1.png,dog/1.png", "cat/2.png,cat/2.png", "dog/9.png,cat/1.png", header="file,to_file")
    assert (plan.moves, plan.taken, plan.in_place) == ([], ["cat/1.png"], 2)


def test_the_undo_file_of_another_list_is_kept(things):
    carry_out(planned(things, "cat/1.png,dog"))
    before = things.with_name("moves-undo.csv").read_text()
    with pytest.raises(UotaError, match="undoes the moves of another list"):
        planned(things, "cat/2.png,dog")
    fill(things, ["cat/1.png"])
    with pytest.raises(UotaError, match="undoes the moves of another list"):
        planned(things, "cat/1.png,dog")
    assert things.with_name("moves-undo.csv").read_text() == before


def test_another_file_in_place_of_the_undo_file_is_kept(things):
    things.with_name("moves-undo.csv").write_text("file,to\n")
    with pytest.raises(
        UotaError, match=r"moves-undo.csv is no list that undoes moves, and would be replaced; rename it"
    ):
        planned(things, "cat/1.png,dog")


def test_an_undo_file_cannot_name_what_is_outside(things):
    things.with_name("moves-undo.csv").write_text("file,to_file\n../moves.csv,cat/1.png\n")
    with pytest.raises(UotaError, match="undoes the moves of another list"):
        planned(things, "cat/1.png,dog")


@pytest.mark.parametrize("folder", ["nowhere", "moves.csv"])
def test_a_folder_is_needed(things, folder):
    things.with_name("moves.csv").write_text("file,to\n")
    with pytest.raises(UotaError, match="there is no folder"):
        plan_moves(things.with_name(folder), things.with_name("moves.csv"))


PART = NAMES.map(lambda text: text.replace("/", "").replace("\0", "")).filter(
    lambda text: text not in ("", ".", "..") and len(os.fsencode(text)) < 50
)


@settings(max_examples=30, deadline=None, phases=[Phase.generate])
@given(data=st.data(), groups=st.lists(PART, min_size=2, max_size=3, unique=True))
def test_any_names_are_moved_as_the_table_lists_them_and_moved_back(tmp_path_factory, data, groups):
    folder = tmp_path_factory.mktemp("any") / "things"
    files = [f"{group}/{name}" for group in groups for name in data.draw(st.lists(PART, max_size=3, unique=True))]
    fill(folder, files)
    for group in groups:
        (folder / group).mkdir(parents=True, exist_ok=True)
    before = tree(folder)
    path = folder.with_name("moves.csv")
    to = [data.draw(st.sampled_from([*groups, ""])) for _ in files]
    rows = zip(map(escape_path, files), map(escape_path, to), strict=True)
    path.write_text(csv_text([("file", "to"), *rows]), encoding="utf-8")
    plan = plan_moves(folder, path)
    if not plan.moves:
        return
    assert not plan.gone
    moved = {move.source: move.target for move in plan.moves}
    expected = {file for file, group in zip(files, to, strict=True) if os.path.dirname(file) != group}
    assert set(moved) == expected
    assert carry_out(plan) == []
    for source, target in moved.items():
        assert not os.path.lexists(folder / source) or source in moved.values()
        assert (folder / target).resolve().read_bytes() == os.fsencode(source)
    assert not plan_moves(folder, path).moves
    assert carry_out(plan_moves(folder, folder.with_name("moves-undo.csv"))) == []
    assert tree(folder) == before
