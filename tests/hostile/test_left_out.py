"""Archives are read to the end, file-system errors are retried, and nothing is left out silently."""

import io
import json
import os
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image
from tests.hostile.conftest import encoded, fill, named, noise, write_tar

from uota import UotaError
from uota.commands.cli import main
from uota.data import FolderOptions, open_groups, open_source, warn_left_out
from uota.data.files.formats import readable_formats
from uota.data.files.splits import split_of
from uota.data.packed.tar_index import make_index, stored_index
from uota.data.report import warn_many_unreadable

SAMPLES = [(f"{n:03}.{kind}", data) for n in range(10) for kind, data in
           (("png", encoded(n, (8, 8))), ("cls", b"%d" % (n % 2)))]  # fmt: skip
BLOCKS = len(SAMPLES) * 2 + 2  # a header and a block of data each, and two blocks of zeros


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = write_tar(tmp_path_factory.mktemp("whole") / "a.tar", SAMPLES)
    assert set(path.read_bytes()[BLOCKS * 512 :]) <= {0}
    return path.read_bytes()


@pytest.mark.parametrize("blocks", [BLOCKS - 1, BLOCKS])
def test_a_shard_that_ends_in_a_block_of_zeros_is_complete(tmp_path, whole, blocks):
    (tmp_path / "a.tar").write_bytes(whole[: blocks * 512])
    assert sum(len(open_source(tmp_path / "a.tar", split)) for split in ("train", "test")) == 10


@pytest.mark.parametrize("blocks", range(BLOCKS - 1))
def test_a_shard_truncated_at_any_block_is_refused(tmp_path, whole, blocks):
    (tmp_path / "a.tar").write_bytes(whole[: blocks * 512])
    with pytest.raises(UotaError, match=r"a\.tar is not a complete, uncompressed tar file .*copy it again"):
        open_source(tmp_path / "a.tar")


@pytest.mark.parametrize("block", range(2, BLOCKS - 2, 2))
def test_a_damaged_header_is_refused(tmp_path, whole, block):
    data = bytearray(whole)
    data[block * 512 : block * 512 + 512] = b"x" * 512
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(UotaError, match="not a complete, uncompressed tar file"):
        open_source(tmp_path / "a.tar")


@pytest.mark.parametrize("padding", [0, 1, 7])
@pytest.mark.parametrize("copies", [2, 3])
def test_concatenated_archives_are_read_to_the_end(tmp_path, copies, padding):
    parts = []
    for copy in range(copies):
        members = [(f"{copy}-{name}", data) for name, data in SAMPLES]
        parts.append(write_tar(tmp_path / "part", members).read_bytes() + bytes(padding * 512))
    (tmp_path / "a.tar").write_bytes(b"".join(parts))
    train, test = (open_source(tmp_path / "a.tar", split) for split in ("train", "test"))
    assert len(train) + len(test) == 10 * copies
    assert all(image.shape == (3, 8, 8) for image in train.images(range(len(train))))
    (tmp_path / "a.tar").write_bytes(b"".join(parts)[:-10240] + b"x" * 512)
    with pytest.raises(UotaError, match="no header at byte"):
        open_source(tmp_path / "a.tar")


def endless_pax(kind=b"x", size=10**12):
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


HEADERS = {
    "attributes of a terabyte": endless_pax(),
    "a name of a terabyte": endless_pax(b"L"),
    "global attributes of a terabyte": endless_pax(b"g"),
    "headers of headers": endless_pax(size=0) * 3000,
    "attributes of two megabytes": endless_pax(size=2**21) + b"x" * 2**21,
    "a negative size": (lambda info: info.tobuf(tarfile.GNU_FORMAT))(tarfile.TarInfo("a.png"))[:124] + b"\xff" * 12,
}


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("kind", HEADERS)
def test_oversized_headers_are_refused(tmp_path, whole, kind, first):
    (tmp_path / "a.tar").write_bytes(HEADERS[kind] + whole if first else whole[:2048] + HEADERS[kind] + whole[2048:])
    with pytest.raises(UotaError, match="not a complete, uncompressed tar file"):
        open_source(tmp_path / "a.tar")


def inconsistencies():
    """Yield ways in which an index can contradict its archive."""
    big = np.int64(2**62)
    yield "starts beyond the end", {"starts": lambda a: a + big // 2}
    yield "starts below 0", {"starts": lambda a: -a}
    yield "starts elsewhere", {"starts": lambda a: a + 512}
    yield "starts within a block", {"starts": lambda a: a + 7}
    yield "sizes of exabytes", {"sizes": lambda a: a * 0 + big}
    yield "sizes below 0", {"sizes": lambda a: -a}
    yield "other sizes", {"sizes": lambda a: a + 1}
    yield "fewer labels", {"labels": lambda a: a[:-1]}
    yield "labels below -1", {"labels": lambda a: a * 0 - 9}
    yield "labels of floats", {"labels": lambda a: a.astype(float)}
    yield "lengths beyond the names", {"lengths": lambda a: a + 100}
    yield "lengths below 0", {"lengths": lambda a: a * 0 - 1}
    yield "no names", {"names": lambda a: a[:0]}
    yield "a table of starts", {"starts": lambda a: a[None]}
    yield "objects", {"starts": lambda a: a.astype(object)}


@pytest.mark.parametrize("lie", [pytest.param(lie, id=kind) for kind, lie in inconsistencies()])
def test_an_inconsistent_index_is_rebuilt(tmp_path, whole, lie):
    shard, index = tmp_path / "a.tar", tmp_path / "a.tar.index"
    shard.write_bytes(whole)
    expected = make_index(shard)
    with np.load(index) as stored:
        arrays = dict(stored)
    changed = {name: lie[name](array) if name in lie else array for name, array in arrays.items()}
    with index.open("wb") as file:
        np.savez(file, allow_pickle=True, **changed)
    assert stored_index(shard) is None
    source = open_source(shard)
    assert np.array_equal(make_index(shard).starts, expected.starts)
    assert len(source.images(range(len(source)))) == 8


def test_an_index_that_unpacks_to_gigabytes_is_not_read(tmp_path, whole):
    shard, index = tmp_path / "a.tar", tmp_path / "a.tar.index"
    shard.write_bytes(whole)
    make_index(shard)
    with np.load(index) as stored:
        arrays = dict(stored)
    with index.open("wb") as file:
        np.savez_compressed(file, **arrays | {"names": np.zeros(2**26, np.uint8)})
    assert index.stat().st_size < 2**20
    assert stored_index(shard) is None


BESIDES = {
    "names with dots": ([f"clip{n // 4}.{n % 4}.jpg" for n in range(20)], 5, "15 image(s) are not the first of their"),
    "masks": ([f"{n}.{kind}.png" for n in range(6) for kind in ("a", "mask")], 6, "6 image(s) are not the first"),
    "no extension": ([*(f"{n}.png" for n in range(6)), "one", "two"], 6, "2 member(s) of shards have no extension"),
    "no image": ([*(f"{n}.png" for n in range(6)), "x.txt"], 6, "1 sample(s) have no image"),
}


@pytest.mark.parametrize("kind", BESIDES)
def test_unused_members_of_a_shard_are_counted(tmp_path, capsys, kind):
    names, count, says = BESIDES[kind]
    write_tar(tmp_path / "a.tar", [(name, encoded(n, (8, 8))) for n, name in enumerate(names)])
    for _ in range(2):  # first from the archive, then from its index
        source = open_source(tmp_path / "a.tar")
        assert len(source) == count
        warn_left_out(source)
        assert says in capsys.readouterr().out


@pytest.mark.parametrize(
    ("label", "left_out"),
    [(b"7", False), (b" 3\n", False), (b"", True), (b"cat", True), (b"-1", True), (b"-7", True), (b"9" * 31, True),
     (b"9" * 400, True), (b"1.5", True), (b"\xff", True), (b"1000000", True), ("٣".encode(), True), (b"0x1", True)],
)  # fmt: skip
def test_an_invalid_label_counts_as_missing(tmp_path, label, left_out):
    members = [*SAMPLES, ("x.png", encoded(99)), ("x.cls", label)]
    write_tar(tmp_path / "a.tar", members)
    train, test = (open_source(tmp_path / "a.tar", split) for split in ("train", "test"))
    assert len(train) + len(test) == 11
    labels = [*train.labels.tolist(), *test.labels.tolist()]
    assert labels.count(-1) == int(left_out)
    assert any("have no label" in sentence for sentence in train.left_out.sentences()) == left_out


DESCRIPTIONS = ['{"classes": ["a", 1]}', '{"classes": 3}', "[" * 10**5, "{}", "[1]", "nonsense",
                '{"classes": null, "shards": ["../a.tar"]}', '{"shards": ["/etc/passwd"]}']  # fmt: skip


@pytest.mark.parametrize("described", DESCRIPTIONS, ids=lambda described: described[:20])
def test_an_invalid_description_of_shards_is_refused(tmp_path, whole, described):
    (tmp_path / "a.tar").write_bytes(whole)
    (tmp_path / "shards.json").write_text(described, encoding="utf-8")
    with pytest.raises(UotaError, match=r"shards\.json cannot be read .*write the shards again"):
        open_source(tmp_path)


def test_labels_beyond_the_named_classes_are_refused(tmp_path, whole):
    (tmp_path / "a.tar").write_bytes(whole)
    (tmp_path / "shards.json").write_text('{"classes": ["a"]}', encoding="utf-8")
    with pytest.raises(UotaError, match="shards"):
        open_source(tmp_path)


@pytest.mark.parametrize("pattern", ["x-{0..99999999}.tar", "{0..9999}{0..9999}.tar", "{a,b}" * 40 + ".tar",
                                     "{1..999999999999999999}.tar", "{000000000..999999999}.tar"])  # fmt: skip
def test_patterns_of_millions_of_names_are_refused(pattern):
    with pytest.raises(UotaError, match="expands to more than 100000 shards"):
        open_source(pattern)


@pytest.mark.parametrize("name", ["s-0.tar.gz", "s-0.tgz", "s-0.TAR.GZ", "s-0.tar.zst", "s-0.tar.xz", "folder"])
def test_compressed_shards_are_reported(tmp_path, whole, name):
    file = "s-0.tar.gz" if name == "folder" else name
    (tmp_path / file).write_bytes(b"\x1f\x8b")
    with pytest.raises(UotaError, match=r"is compressed, .*decompress it to a plain \.tar"):
        open_source(tmp_path if name == "folder" else tmp_path / name)


def test_shards_with_upper_case_extensions_are_read(tmp_path, whole):
    (tmp_path / "S-0.TAR").write_bytes(whole)
    (tmp_path / "s-1.tar.gz").write_bytes(b"\x1f\x8b")
    source = open_source(tmp_path)
    assert len(source) + len(open_source(tmp_path, "test")) == 10
    assert source.left_out.sentences() == ["1 compressed tar file(s) are not read: decompress them: s-1.tar.gz"]


# Layouts of folders: files; images and labelled images of each split; the message.
LAYOUTS = {
    "a stray picture": ([*named("cat", "dog"), "sheet.png"], (9, 8), (2, 2), "1 image(s) are beside the folders"),
    "most are strays": ([*named("cat", "dog", each=2), *[f"{n}.png" for n in range(9)]], (13, 0), (13, 0), None),
    "an unlabelled test part": ([*named("train/a", "train/b", "val/a", "val/b"), "test/1.png", "test/2.png"],
                                (10, 10), (10, 10), "2 image(s) of test/ have no labels"),
    "only an unlabelled test part": ([*named("train/a", "train/b"), "test/1.png", "test/2.png"], (8, 8), (2, 2),
                                     "2 image(s) of test/ have no labels"),
    "capitals": (named("Training/a", "Training/b", "Testing/a", "Testing/b"), (10, 10), (10, 10), None),
    "dev and eval": (named("Train/a", "Train/b", "dev/a", "dev/b"), (10, 10), (10, 10), None),
    "years": (named("train2017/a", "train2017/b", "val2017/a", "val2017/b"), (10, 10), (10, 10), None),
    "three parts": (named("train/a", "train/b", "val/a", "val/b", "test/a", "test/b", each=2), (4, 4), (4, 4),
                    "4 image(s) are in neither train/ nor test/, and are not used"),
    "another folder": ([*named("train/a", "train/b", "test/a", "test/b"), "extra/1.png"], (10, 10), (10, 10),
                       "1 image(s) are in neither train/ nor test/"),
    "a stray beside parts": ([*named("train/a", "train/b", "test/a", "test/b"), "1.png"], (10, 10), (10, 10),
                             "1 image(s) are in neither"),
    "a stray in a part": ([*named("train/a", "train/b", "test/a", "test/b"), "train/1.png"], (11, 10), (10, 10),
                          "1 image(s) are beside the folders of classes"),
    "unlabelled training": ([*named("val/a", "val/b"), *[f"train/{n}.png" for n in range(9)]], (9, 0), (10, 0),
                            "9 image(s) for training have no labels"),
    "a stray beside an archive": ([*named("set/a", "set/b"), "readme.png"], (8, 8), (2, 2), "1 image(s) beside set/"),
    "no parts at all": (named("a", "b", "trainers"), (12, 12), (3, 3), None),
    "train alone": (named("train/a", "train/b"), (8, 8), (2, 2), None),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_labels_and_splits_of_every_layout(tmp_path, capsys, layout):
    names, *expected, says = LAYOUTS[layout]
    fill(tmp_path, names)
    for split, (count, labelled) in zip(("train", "test"), expected, strict=True):
        source = open_source(tmp_path, split)
        known = 0 if source.labels is None else int((source.labels >= 0).sum())
        assert (len(source), known) == (count, labelled)
        if source.labels is not None:
            for index in range(len(source)):
                name = source.classes[source.labels[index]] if source.labels[index] >= 0 else None
                assert name is None or source.path(index).parent.name == name
    warn_left_out(open_source(tmp_path))
    said = capsys.readouterr().out
    assert (says in said) if says else said == ""


@pytest.mark.parametrize(
    "name", ["train", "TRAIN", "Training", "train_set", "training-images", "train2017", "Train Data"]
)
def test_names_of_training_splits(name):
    assert split_of(name) == "train"


@pytest.mark.parametrize(
    "name", ["test", "Testing", "VAL", "valid", "Validation", "dev", "eval", "val2017", "test_images"]
)
def test_names_of_test_splits(name):
    assert split_of(name) == "test"


@pytest.mark.parametrize(
    "name", ["trains", "bus", "trainer", "contest", "value", "developer", "0", "", "sets", "images"]
)
def test_names_that_are_not_of_a_split(name):
    assert split_of(name) is None


def heic():
    return b"\0\0\0\x18ftypheic" + bytes(99)


KINDS = {
    "x.HEIC": heic(), "IMG": heic(), "x.dcm": bytes(128) + b"DICM" + bytes(99), "x.psd": b"8BPS" + bytes(99),
    "x.exr": b"v/1\x01" + bytes(99), "x.fits": b"SIMPLE  =" + bytes(99), "x.svg": b"<svg xmlns=''/>", "x.mp4": b"video",
    "x.jxl": b"\xff\x0a" + bytes(99), "x.xyz": b"whatever", "noending": b"whatever", "notes.txt": b"text",
    "x.json": b"{}", "x.zip": b"PK\3\4", "x.png": b"no picture", "y.jpg": b"", "x.pdf": b"%PDF-1.4", "x.dng": b"raw",
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("heif", [True, False], ids=["with heif", "without"])
def test_unread_files_are_reported_by_kind_and_count(tmp_path, capsys, monkeypatch, name, heif):
    if not heif:
        monkeypatch.setattr("uota.data.files.find.readable_formats", lambda: ("JPEG", "PNG"))
    fill(tmp_path, named("a", "b", each=20))
    (tmp_path / "a" / name).write_bytes(KINDS[name])
    source = open_source(tmp_path)
    warn_left_out(source)
    said = capsys.readouterr().out + "".join(str(path) for path in source.skipped)
    assert f"a/{name}" in said
    if "ftypheic" in str(KINDS[name]) and not heif:
        assert "pip install 'uota[heif]'" in said


@pytest.mark.parametrize(
    ("ending", "kind"),
    [("jp2", "JPEG2000"), ("avif", "AVIF"), ("heic", "HEIF"), ("", "PNG"),
     ("xyz", "PNG"), ("HEIC", "PNG"), ("dib", "BMP"), ("img", "JPEG")],
)  # fmt: skip
def test_formats_of_installed_libraries_are_read(tmp_path, ending, kind):
    if kind not in readable_formats():
        pytest.skip(f"{kind} cannot be read here")
    for number in range(3):
        (tmp_path / f"{number}{'.' if ending else ''}{ending}").write_bytes(encoded(number, (40, 30), kind))
    source = open_source(tmp_path)
    assert [tuple(image.shape) for image in source.images(range(3))] == [(3, 30, 40)] * 3
    assert source.left_out.sentences() == []


def test_many_damaged_images_cause_a_warning(tmp_path, capsys):
    fill(tmp_path, named("a", "b", each=20))
    for number in range(3):
        (tmp_path / f"a/{number}.png").write_bytes(b"damaged")
    source = open_source(tmp_path)
    warn_left_out(source)
    said = capsys.readouterr().err
    assert said.startswith("WARNING: 3 of ")
    assert "a/0.png (not an image of a known format)" in said
    assert not warn_many_unreadable(source, 1, 100)


def test_an_entirely_unreadable_folder_is_refused_with_the_reason(tmp_path):
    for number in range(3):
        Image.new("L", (950, 950)).save(tmp_path / f"{number}.png")
    with pytest.raises(
        UotaError, match=r"none of the 3 image files .*0\.png: its 950×950 pixels would take 3 MB, more"
    ):
        open_source(tmp_path, folder=FolderOptions(image_megabytes=1))


def test_a_folder_of_other_kinds_is_refused_with_the_kinds(tmp_path):
    (tmp_path / "x.dcm").write_bytes(KINDS["x.dcm"])
    (tmp_path / "clip.mp4").write_bytes(b"video")
    with pytest.raises(UotaError, match=r"has no images.*\.mp4 file\(s\).*DICOM file\(s\) are not read"):
        open_source(tmp_path)


@pytest.mark.parametrize("error", [ConnectionResetError, FileNotFoundError, TimeoutError, BlockingIOError, OSError])
def test_a_transient_file_system_error_loses_no_image(tmp_path, monkeypatch, error):
    source = open_source(fill(tmp_path, named("a", "b")), folder=FolderOptions(cache_megabytes=0))
    expected, read, failed = source.images([3])[0], type(source.decoded.files).read, []

    def shaky(files, index):
        failed.append(index)
        if len(failed) < 4:
            raise error(5, "Input/output error")
        return read(files, index)

    monkeypatch.setattr(type(source.decoded.files), "read", shaky)
    monkeypatch.setattr("uota.data.files.patience.time.sleep", lambda seconds: None)
    assert torch.equal(source.images([3])[0], expected)
    assert source.skipped == []
    assert len(failed) == 4


def test_a_permanent_file_system_error_is_not_damage(tmp_path, impatient):
    source = open_source(fill(tmp_path, named("a", "b")), folder=FolderOptions(cache_megabytes=0))
    source.path(3).unlink()
    with pytest.raises(UotaError, match=r"cannot be read.*--resume"):
        source.images([3])
    assert source.skipped == []


def test_groups_report_unused_files(tmp_path, capsys):
    fill(tmp_path, named("a", "b", "c"))
    (tmp_path / "a/x.dcm").write_bytes(KINDS["x.dcm"])
    warn_left_out(open_groups(tmp_path))
    assert "1 DICOM file(s) are not read: convert them to PNG: a/x.dcm" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command", ["inspect {} --eyes=thumbnails --steps=0 --images=3 --out=page.html", "shard {} --out=shards"]
)
def test_every_command_reports_what_it_leaves_out(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "data", named("a", "b"))
    (tmp_path / "data/a/x.dcm").write_bytes(KINDS["x.dcm"])
    assert main(command.format(tmp_path / "data").split()) == 0
    assert "1 DICOM file(s) are not read" in capsys.readouterr().out


def test_a_picture_beside_classes_is_sharded_without_a_label(tmp_path):
    fill(tmp_path / "data", [*named("a", "b"), "sheet.png"])
    assert main(["shard", str(tmp_path / "data"), f"--out={tmp_path / 'out'}"]) == 0
    train = open_source(tmp_path / "out")
    assert train.labels.tolist().count(-1) == 1
    assert json.loads((tmp_path / "out/shards.json").read_text(encoding="utf-8"))["classes"] == ["a", "b"]


def test_undecodable_names_are_shown_escaped(tmp_path, capsys):
    fill(tmp_path, named("a", "b"))
    (tmp_path / "a" / os.fsdecode(b"\xff\x1b[31m.dcm")).write_bytes(KINDS["x.dcm"])
    warn_left_out(open_source(tmp_path))
    said = capsys.readouterr().out
    assert "\\x1b[31m" in said
    assert "\x1b" not in said


def test_noise_pictures_differ_and_survive_encoding():
    """The tests above rely on this."""
    assert noise(1).tobytes() != noise(2).tobytes()
    assert Image.open(io.BytesIO(encoded(1))).tobytes() == noise(1).tobytes()


def hidden_images(place):
    fill(place, named("a", "b"))
    fill(place, ["a/.x.png", "b/.hidden/y.png"], first=50)


def a_class_that_links_to_another(place):
    fill(place, named("a", "b"))
    (place / "c").symlink_to(place / "a")


def a_part_without_its_partner(place):
    fill(place, named("train/a", "train/b", "unlabeled"))


def parts_within_classes(place):
    fill(place, named("cat/train", "cat/test", "dog/train", "dog/test"))


def an_animation(place):
    fill(place, named("a", "b"))
    frames = [noise(seed) for seed in range(3)]
    frames[0].save(place / "a/x.gif", save_all=True, append_images=frames[1:])


def shards_beside_pictures(place):
    fill(place, named("a", "b"))
    write_tar(place / "x.tar", SAMPLES)


def many_kinds(place):
    fill(place, [*named("a", "b"), *[f"a/{number}.kind{number}" for number in range(20)]])
    for number in range(20):
        (place / f"a/{number}.kind{number}").write_bytes(b"whatever")


UNUSED = {
    hidden_images: ("1 hidden image(s) are not used: a/.x.png", "1 hidden folder(s) are not entered: b/.hidden"),
    a_class_that_links_to_another: ("1 link(s) lead to folders that are read already: c",),
    a_part_without_its_partner: ("train is read as a class",),
    parts_within_classes: ("test, train are inside folders that are read as classes",),
    an_animation: ("1 image(s) have several frames or pages, of which the first is used: a/x.gif",),
    shards_beside_pictures: ("1 .tar file(s) among other files are not read: give them as --data",),
    many_kinds: ("8 more, of 8 other kinds, are not used either",),
}


@pytest.mark.parametrize("make", UNUSED, ids=lambda make: make.__name__)
def test_unused_files_of_every_kind_are_reported(tmp_path, capsys, make):
    make(tmp_path)
    warn_left_out(open_source(tmp_path), open_source(tmp_path, "test"))
    said = capsys.readouterr().out
    for sentence in UNUSED[make]:
        assert said.count(sentence) == 1


def test_files_of_other_programs_are_ignored_silently(tmp_path, capsys):
    fill(tmp_path, named("a", "b"))
    for name in (".DS_Store", "a/._0.png", "__MACOSX/a/0.png", ".git/x.png", "@eaDir/0.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"left by another program")
    warn_left_out(open_source(tmp_path))
    assert capsys.readouterr() == ("", "")


def test_pictures_without_an_extension_are_sharded_by_content(tmp_path):
    fill(tmp_path / "data", [f"{name}/{number}" for name in "ab" for number in range(5)])
    assert main(["shard", str(tmp_path / "data"), f"--out={tmp_path / 'out'}"]) == 0
    assert sum(len(open_source(tmp_path / "out", split)) for split in ("train", "test")) == 10
    for path in (tmp_path / "data/a").iterdir():
        path.write_bytes(b"damaged")
    for path in (tmp_path / "data/b").iterdir():
        path.write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    assert main(["shard", str(tmp_path / "data"), f"--out={tmp_path / 'none'}"]) == 2


def test_floats_mixed_with_integers_of_another_range_are_refused(tmp_path):
    for number in range(3):
        Image.fromarray(np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)).save(tmp_path / f"{number}.tif")
        Image.fromarray(np.arange(0, 65536, 1024, dtype=np.uint16).reshape(8, 8)).save(tmp_path / f"{number}.png")
    with pytest.raises(UotaError, match=r"floats from 0 to 1 and .* whole numbers from 0 to 65535, .*--pixel_range"):
        open_source(tmp_path)
    assert len(open_source(tmp_path, folder=FolderOptions(pixel_range=(0, 65535)))) == 6


@pytest.mark.parametrize("out", ["{data}/a/0.png", "{data}/new.png"])
def test_an_output_does_not_overwrite_an_image_of_the_data(tmp_path, capsys, out):
    data = fill(tmp_path / "data", named("a", "b"))
    before = (data / "a/0.png").read_bytes()
    code = main(
        ["inspect", str(data), "--eyes=thumbnails", "--steps=0", "--images=3", f"--out={out.format(data=data)}"]
    )
    assert code == (2 if "a/0" in out else 0)
    assert (data / "a/0.png").read_bytes() == before
    assert ("is one of the images that are read" in capsys.readouterr().err) == (code == 2)


def test_two_outputs_need_two_files(tmp_path, capsys):
    fill(tmp_path / "data", named("a", "b"))
    out = tmp_path / "x.csv"
    assert (
        main(["inspect", str(tmp_path / "data"), "--eyes=thumbnails", "--steps=0", f"--out={out}", f"--table={out}"])
        == 2
    )
    assert "is given for two outputs" in capsys.readouterr().err


def test_integer_labels_of_a_saved_data_set_are_reported(tmp_path, capsys):
    datasets = pytest.importorskip("datasets", reason="needs the extra `datasets`")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    rows = {"image": [{"bytes": encoded(n), "path": None} for n in range(6)], "label": [n % 2 for n in range(6)]}
    datasets.Dataset.from_dict(rows, features).save_to_disk(tmp_path / "saved")
    warn_left_out(open_source(tmp_path / "saved"))
    assert "the column 'label' is not a ClassLabel and is not read; save it with" in capsys.readouterr().out
    with pytest.raises(UotaError, match=r"class_encode_column\('label'\)"):
        open_source(f"{tmp_path}/saved#label=label")
