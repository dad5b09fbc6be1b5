"""`--apply`: what it prints, and that it moves nothing without --yes."""

import pytest
from tests.membership.test_moves import fill, tree

from uota.commands.misfiled_moves import SHOWN, add_apply_arguments, apply_from
from uota.commands.parser import CommandParser
from uota.errors import UotaError


@pytest.fixture
def things(tmp_path):
    fill(tmp_path / "things", ["cat/1.png", "cat/\x1b[31m.png", "dog/1.png"])
    (tmp_path / "moves.csv").write_text(
        "file,to,mark\ncat/1.png,dog,wrong\ndog/1.png,,wrong\ncat/\\x1b[31m.png,dog,right\n"
    )
    return tmp_path / "things"


def test_the_options_are_read():
    parser = CommandParser("uota misfiled", "", "", ("uota misfiled things",))
    add_apply_arguments(parser)
    given = parser.parse_args(["--apply", "moves.csv", "--new-groups"])
    assert (given.apply, given.yes, given.new_groups) == ("moves.csv", False, True)
    assert parser.parse_args([]).apply is None


def test_without_yes_nothing_changes(things, capsys):
    before = tree(things)
    apply_from(things, things.with_name("moves.csv"))
    assert tree(things) == before
    assert not things.with_name("moves-undo.csv").exists()
    assert capsys.readouterr().out.splitlines() == [
        f"files to move: 2 (1 to other groups, 1 into {things}-set-aside)",
        "  cat/1.png -> dog/1 (2).png",
        "  dog/1.png -> ../things-set-aside/dog/1.png",
        "others: 1 not marked wrong",
        "nothing was changed; to move them: --yes",
    ]


def test_with_yes_files_move_and_go_back(things, capsys):
    before = tree(things)
    apply_from(things, things.with_name("moves.csv"), yes=True)
    assert f"2 files moved; to undo: --apply {things.with_name('moves-undo.csv')} --yes" in capsys.readouterr().out
    apply_from(things, things.with_name("moves.csv"), yes=True)
    assert capsys.readouterr().out.splitlines()[:2] == [
        "files to move: 0",
        "others: 2 moved before, 1 not marked wrong",
    ]
    apply_from(things, things.with_name("moves-undo.csv"), yes=True)
    assert tree(things) == before


def test_files_that_are_gone_are_named_after_the_others_moved(things):
    (things / "cat/1.png").unlink()
    with pytest.raises(
        UotaError, match=r"1 files were not moved, since they are gone or their name is taken: cat/1.png"
    ):
        apply_from(things, things.with_name("moves.csv"), yes=True)
    assert not (things / "dog/1.png").exists()


def test_long_plans_are_cut_short(things, capsys):
    names = [f"cat/{number}.png" for number in range(2, SHOWN + 5)]
    fill(things, names)
    things.with_name("moves.csv").write_text("file,to\n" + "".join(f"{name},dog\n" for name in names))
    apply_from(things, things.with_name("moves.csv"))
    assert "  and 3 more" in capsys.readouterr().out.splitlines()
