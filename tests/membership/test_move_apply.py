"""Moves that are stopped at any point: nothing is lost, the same command finishes, and undoing restores everything."""

import errno
import os
import shutil
from contextlib import suppress
from itertools import count

import pytest
from tests.membership.test_moves import fill, planned, tree

from uota.errors import UotaError
from uota.membership import moving
from uota.membership.move_apply import carry_out
from uota.membership.moves import plan_moves
from uota.membership.moving import RESERVED, UNFINISHED

FILES = ["cat/1.png", "cat/2.png", "dog/1.png", "owl/=\n.png"]
# Between them: a name that is taken, a new group, a file that is set aside, and one that goes where another one was.
ROWS = ["cat/1.png,dog", "dog/1.png,new/deep", "cat/2.png,-"]
# What changes names or content on disks, wherever it is called.
CALLS = ("link", "unlink", "replace", "mkdir", "fsync", "rmdir")


def link_by(kind, link):
    """What `os.link` does on file systems that can link files, that cannot, and between two of them."""

    def linked(source, target):
        if kind == "no links":
            raise OSError(errno.EPERM, "")
        if kind == "across" and os.path.basename(source) != UNFINISHED:
            raise OSError(errno.EXDEV, "")
        link(source, target)

    return linked


@pytest.fixture(params=["links", "no links", "across"])
def system(request, monkeypatch):
    monkeypatch.setattr(os, "link", link_by(request.param, os.link))
    monkeypatch.setattr(moving, "_are_apart", lambda *_: request.param == "across")
    return request.param


@pytest.fixture
def things(tmp_path):
    return fresh(tmp_path)


def fresh(tmp_path):
    for name in ("things", "things-set-aside"):
        shutil.rmtree(tmp_path / name, ignore_errors=True)
    for name in ("moves-undo.csv", "moves-undo-undo.csv"):
        (tmp_path / name).unlink(missing_ok=True)
    fill(tmp_path / "things", FILES)
    for path in (tmp_path / "things").rglob("*.png"):
        os.utime(path, ns=(10**18, 10**18))
    return tmp_path / "things"


class Killed(BaseException):
    """Stands for SIGKILL: whatever runs after it changes nothing."""


def stopped(work, monkeypatch, at, error):
    """Do some work, in which the `at`-th call that changes something on the disk fails; False if there are fewer.

    Odd ones fail after they have changed it. After a kill, so do all that follow.
    """
    calls = count()

    def wrapped(call):
        def stopping(*arguments, **options):
            number = next(calls)
            if number > at // 2 and isinstance(error, Killed):
                raise error
            if number == at // 2 and at % 2 == 0:
                raise error
            try:
                return call(*arguments, **options)
            finally:
                if number == at // 2 and at % 2 == 1:
                    raise error

        return stopping

    with monkeypatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, wrapped(getattr(os, name)))
        with suppress(Killed, KeyboardInterrupt, UotaError, OSError):
            work()
    return next(calls) > at // 2


def apply(things):
    return carry_out(planned(things, *ROWS, new_groups=True))


def contents(found):
    return {content for entry in found.values() if entry for content in entry[:1]} - {RESERVED}


def undo(things):
    path = things.with_name("moves-undo.csv")
    return carry_out(plan_moves(things, path)) if path.exists() else []


ERRORS = pytest.mark.parametrize(
    ("system", "error"),
    [
        *((system, Killed()) for system in ("links", "no links", "across")),
        *(("across", error) for error in (KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left"))),
    ],
    indirect=["system"],
)


@ERRORS
def test_what_is_stopped_at_any_call_can_be_finished_and_undone(things, system, tmp_path, monkeypatch, error):
    before = tree(things)
    assert apply(things) == []
    after = tree(things)
    assert contents(after) == contents(before)
    for at in count():
        fresh(tmp_path)
        if not stopped(lambda: apply(things), monkeypatch, at, error):
            break
        assert contents(before) <= contents(tree(things)), at
        undo(things)
        assert tree(things) == before, at
        fresh(tmp_path)
        stopped(lambda: apply(things), monkeypatch, at, error)
        apply(things)
        assert tree(things) == after, at
        undo(things)
        assert tree(things) == before, at
    assert at >= 20


@ERRORS
def test_an_undoing_that_is_stopped_at_any_call_can_be_finished(things, system, tmp_path, monkeypatch, error):
    before = tree(things)
    for at in count():
        fresh(tmp_path)
        apply(things)
        if not stopped(lambda: undo(things), monkeypatch, at, error):
            break
        assert contents(before) <= contents(tree(things)), at
        undo(things)
        assert tree(things) == before, at
    assert at >= 20


def test_an_empty_file_that_may_be_somebody_elses_is_left(things, monkeypatch):
    apply(things)
    undo(things)
    (things / "dog/1 (2).png").touch()  # as a kill leaves it, between creating and writing the file that takes a name
    apply(things)
    assert (things / "dog/1 (2).png").read_bytes() == b""
    assert (things / "dog/1 (3).png").read_bytes() == b"cat/1.png"


def test_a_full_disk_says_how_to_go_on(things, monkeypatch):
    def full(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    plan = planned(things, *ROWS, new_groups=True)
    monkeypatch.setattr(os, "link", full)
    with pytest.raises(
        UotaError, match=r"stopped after 0 of 3 files, and none is lost: cat/1.png cannot be moved: No space left"
    ):
        carry_out(plan)


def test_a_name_that_is_taken_meanwhile_is_not_overwritten(things, system):
    plan = planned(things, *ROWS, new_groups=True)
    fill(things, ["new/deep/1.png"])
    assert carry_out(plan) == ["dog/1.png"]
    assert (things / "new/deep/1.png").read_bytes() == b"new/deep/1.png"
    assert (things / "dog/1.png").read_bytes() == b"dog/1.png"
    assert (things / "dog/1 (2).png").read_bytes() == b"cat/1.png"


def test_a_file_that_goes_meanwhile_is_named_and_the_rest_moved(things):
    plan = planned(things, *ROWS, new_groups=True)
    (things / "dog/1.png").unlink()
    assert carry_out(plan) == ["dog/1.png"]
    assert not (things / "cat/2.png").exists()


def test_files_that_cannot_go_back_stay_until_there_is_room(things):
    before = tree(things)
    apply(things)
    fill(things, ["cat/1.png"])
    (things / "cat/1.png").write_text("another")
    plan = plan_moves(things, things.with_name("moves-undo.csv"))
    assert plan.taken == ["dog/1 (2).png"]
    carry_out(plan)
    assert (things / "cat/1.png").read_text() == "another"
    assert (things / "dog/1 (2).png").read_bytes() == b"cat/1.png"
    (things / "cat/1.png").unlink()
    undo(things)
    assert tree(things) == before


def test_a_list_can_be_applied_again_after_it_was_undone(things):
    before = tree(things)
    for _ in range(2):
        apply(things)
        assert not planned(things, *ROWS, new_groups=True).moves
        undo(things)
        assert tree(things) == before


def test_folders_that_were_empty_before_stay(things):
    (things / "bat").mkdir()
    before = tree(things)
    carry_out(planned(things, "cat/1.png,bat", "owl/=\n.png,bat".replace("\n", "\\n")))
    undo(things)
    assert tree(things) == before


@pytest.mark.skipif(
    not os.path.isdir("/dev/shm") or os.stat("/dev/shm").st_dev == os.stat("/tmp").st_dev,
    reason="there is no other file system at /dev/shm",
)
def test_files_move_between_real_file_systems(tmp_path):
    import tempfile

    with tempfile.TemporaryDirectory(dir="/dev/shm") as one, tempfile.TemporaryDirectory(dir="/tmp") as other:
        fill(moving.Path(one), ["x"])
        moving.move_file(moving.Path(one, "x"), moving.Path(other, "x"))
        assert (os.listdir(one), os.listdir(other)) == ([], ["x"])
