"""A file's move: nothing is overwritten, whatever the file system can do."""

import errno
import os

import pytest

from uota.membership import moving
from uota.membership.moving import UNFINISHED, is_moved_in_part, is_reserved, move_file


@pytest.fixture
def files(tmp_path):
    for group in ("a", "b"):
        (tmp_path / group).mkdir()
    source = tmp_path / "a" / "x"
    source.write_bytes(b"content" * 1000)
    source.chmod(0o640)
    os.utime(source, ns=(10**18, 10**18 + 1))
    return source, tmp_path / "b" / "x"


@pytest.fixture(params=["links", "no links", "across"])
def system(request, monkeypatch):
    """File systems that can link files, that cannot, and two between which files cannot be linked."""
    link = os.link
    wrong = {"no links": errno.EPERM, "across": errno.EXDEV}.get(request.param)

    def linked(source, target):
        if wrong == errno.EPERM or (wrong == errno.EXDEV and os.path.basename(source) != UNFINISHED):
            raise OSError(wrong, os.strerror(wrong))
        link(source, target)

    monkeypatch.setattr(os, "link", linked)
    monkeypatch.setattr(moving, "_are_apart", lambda one, other: request.param == "across")
    return request.param


def test_content_times_and_permissions_stay(files, system):
    source, target = files
    before = source.stat()
    move_file(source, target)
    after = target.stat()
    assert target.read_bytes() == b"content" * 1000
    assert (after.st_mtime_ns, after.st_mode) == (before.st_mtime_ns, before.st_mode)
    assert (after.st_ino == before.st_ino) == (system != "across")
    assert not source.exists()
    assert os.listdir(target.parent) == ["x"]


@pytest.mark.parametrize("kind", ["file", "empty", "folder", "link"])
def test_nothing_is_overwritten(files, system, kind):
    source, target = files
    match kind:
        case "folder":
            target.mkdir()
        case "link":
            target.symlink_to("nowhere")
        case _:
            target.write_bytes(b"other" if kind == "file" else b"")
    before = os.lstat(target)
    with pytest.raises(FileExistsError):
        move_file(source, target)
    assert source.read_bytes() == b"content" * 1000
    assert os.lstat(target) == before
    assert os.listdir(target.parent) == ["x"]


def test_a_copy_that_differs_is_not_taken(files, monkeypatch):
    source, target = files

    def damaged(original, copy):
        copy.write(original.read()[:-1] + b"?")

    monkeypatch.setattr(moving.shutil, "copyfileobj", damaged)
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(errno.EXDEV, "")))
    with pytest.raises(OSError, match="the copy differs"):
        move_file(source, target)
    assert source.read_bytes() == b"content" * 1000
    assert not os.listdir(target.parent)


def test_a_move_in_part_is_recognised(files, monkeypatch):
    source, target = files
    target.write_bytes(source.read_bytes())
    assert not is_moved_in_part(source, target)  # a duplicate
    monkeypatch.setattr(moving, "_are_apart", lambda *_: True)
    assert is_moved_in_part(source, target)
    target.write_bytes(b"other")
    assert not is_moved_in_part(source, target)
    target.unlink()
    os.link(source, target)
    assert is_moved_in_part(source, target)


def test_one_name_is_no_move_in_part(files):
    source, _ = files
    assert not is_moved_in_part(source, source)


def test_only_a_file_that_takes_a_name_is_recognised_as_such(files, monkeypatch):
    source, target = files
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(errno.EPERM, "")))
    seen = []
    monkeypatch.setattr(os, "replace", lambda source, target: seen.append(is_reserved(target)))
    move_file(source, target)
    assert seen == [True]
    assert not is_reserved(source)
