"""Which files are images."""

import os

from uota.data.files.find import find_images


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def test_extensions_in_any_case_at_any_depth(tmp_path):
    touch(tmp_path, "a.PNG", "b/c/d.jpeg", "b/c/e.JPG", "f.txt", "g", "b/README.md", "h.png.part")
    found = find_images(tmp_path)
    assert found[:2] == (["a.PNG", "b/c/d.jpeg", "b/c/e.JPG"], [])
    assert found.left_out.sentences() == [
        "1 .txt file(s) are not images: f.txt",
        "1 file(s) without an extension are not images: g",
        "1 .part file(s) are not images: h.png.part",
        "1 .md file(s) are not images: b/README.md",
    ]


def test_hidden_files_and_files_of_other_programs_are_left_out(tmp_path):
    touch(tmp_path, "a.png", ".b.png", "._a.png", ".git/c.png", "__MACOSX/a.png", "x/__MACOSX/a.png", "@eaDir/a.png")
    assert find_images(tmp_path)[0] == ["a.png"]


def test_a_hidden_root_is_read(tmp_path):
    touch(tmp_path, ".cache/a.png")
    assert find_images(tmp_path / ".cache")[0] == ["a.png"]


def test_links_are_followed_once_and_loops_end(tmp_path):
    touch(tmp_path, "set/z/a.png", "elsewhere/b.png")
    root = tmp_path / "set"
    (root / "all").symlink_to(root)
    (root / "z/up").symlink_to(root / "z")
    (root / "again").symlink_to(root / "z")
    (root / "out").symlink_to(tmp_path / "elsewhere")
    (root / "self.png").symlink_to(root / "self.png")
    (root / "gone.png").symlink_to(root / "nowhere.png")
    (root / "link.png").symlink_to(root / "z/a.png")
    found = find_images(root)
    assert found.files == ["link.png", "out/b.png", "z/a.png"]
    assert found.closed == ["gone.png", "self.png"]


def test_pipes_and_folders_named_like_images_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    touch(tmp_path, "b.png/c.png")
    assert find_images(tmp_path)[0] == ["b.png/c.png"]


def test_a_folder_without_permission_is_named(tmp_path, monkeypatch):
    touch(tmp_path, "a.png", "locked/b.png")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("locked"):
            raise PermissionError(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert find_images(tmp_path)[:2] == (["a.png"], ["locked"])
