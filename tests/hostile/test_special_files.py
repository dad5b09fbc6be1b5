"""Untrusted files start no program, and special files are not opened."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, UnidentifiedImageError
from tests.hostile.conftest import encoded, fill, named

from uota import UotaError
from uota.commands.cli import main
from uota.data import open_groups, open_source
from uota.data.files.decode import UnreadableError, read_header, read_image
from uota.data.files.formats import EXTENSIONS, FORMATS, readable_formats
from uota.data.memory import as_image
from uota.data.packed.sharding import shard

SCRIPT = b"(%s/WROTE) (w) file pop\n0 0 32 32 rectfill showpage\n%%%%EOF\n"
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\n%%EndComments\n"


def postscript(folder, binary=False):
    """Return PostScript that writes a file when it is interpreted; some programs add a binary header."""
    text = EPS + SCRIPT.replace(b"%s", os.fsencode(folder)).replace(b"%%", b"%")
    header = b"\xc5\xd0\xd3\xc6" + (30).to_bytes(4, "little") + len(text).to_bytes(4, "little") + bytes(18)
    return header + text if binary else text


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize("ending", [*EXTENSIONS, ".eps", ".ps", ""])
def test_postscript_with_any_extension_is_skipped_and_reported(tmp_path, starts, ending, binary):
    fill(tmp_path, named("a", "b"))
    (tmp_path / f"a/x{ending}").write_bytes(postscript(tmp_path, binary))
    source = open_source(tmp_path)
    source.images(range(len(source)))
    said = [*(path.name for path in source.skipped), *source.left_out.sentences()]
    assert len(source) + len(open_source(tmp_path, "test")) == 10
    assert any(f"x{ending}" in each for each in said)
    assert not (tmp_path / "WROTE").exists()
    assert starts == []


def test_started_programs_are_recorded(starts):
    subprocess.run([sys.executable, "-c", ""], check=True, timeout=60)
    assert starts


@pytest.mark.parametrize("read", [read_image, read_header])
def test_the_reason_names_postscript(tmp_path, read):
    (tmp_path / "x.jpg").write_bytes(postscript(tmp_path))
    with pytest.raises(UnreadableError, match="PostScript is not read; convert it to PNG"):
        read(tmp_path / "x.jpg")


def test_a_pillow_image_of_postscript_is_refused(tmp_path, starts):
    (tmp_path / "x.eps").write_bytes(postscript(tmp_path))
    with Image.open(tmp_path / "x.eps") as picture, pytest.raises(UotaError, match="the format EPS is not read here"):
        as_image(picture)
    assert starts == []
    assert not (tmp_path / "WROTE").exists()


def test_formats_that_start_programs_are_not_read():
    assert set(readable_formats()) <= set(FORMATS)
    assert not {"EPS", "WMF", "FPX", "MIC"} & set(FORMATS)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_recognised_by_content(tmp_path, kind):
    if kind not in readable_formats():
        pytest.skip(f"{kind} cannot be read here")
    try:
        (tmp_path / "x").write_bytes(encoded(kind=kind))
    except (KeyError, OSError, UnidentifiedImageError):
        pytest.skip(f"Pillow writes no {kind}")
    assert read_image(tmp_path / "x").shape == (3, 32, 32)


def pipe(place):
    os.mkfifo(place)


def unix_socket(place):
    before = os.getcwd()
    os.chdir(place.parent)  # the path of a socket has a short limit
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(place.name)
    finally:
        os.chdir(before)


def device(place):
    place.symlink_to("/dev/zero")


def folder(place):
    place.mkdir()


def itself(place):
    place.symlink_to(place)


def nothing(place):
    place.symlink_to(place.with_name("nowhere"))


SPECIAL = {
    "pipe": pipe,
    "socket": unix_socket,
    "device": device,
    "folder": folder,
    "itself": itself,
    "nothing": nothing,
}


@pytest.mark.parametrize("link", [False, True], ids=["itself", "link to it"])
@pytest.mark.parametrize("kind", SPECIAL)
def test_special_files_are_not_read_as_images(tmp_path, kind, link):
    data = fill(tmp_path / "data", named("a", "b"))
    if link:
        SPECIAL[kind](tmp_path / "odd")
        (data / "a/x.png").symlink_to(tmp_path / "odd")
    else:
        SPECIAL[kind](data / "a/x.png")
    source = open_source(data)
    assert len(source) + len(open_source(data, "test")) == 10
    said = [*(path.name for path in source.skipped), *source.left_out.sentences()]
    assert kind == "folder" or any("x.png" in each for each in said)
    assert len(open_groups(data).files) == 10
    assert shard(data, tmp_path / "shards").images == 10
    with pytest.raises((UnreadableError, OSError)):
        read_image(data / "a/x.png")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("run")
    fill(place / "data", named("a", "b", each=8))
    flags = "--epochs=1 --batch_size=8 --workers=0 --threads=1 --accelerator=cpu --arbiter=none --local_views=0"
    assert main(["pretrain", f"--data={place / 'data'}", f"--out={place / 'run'}", *flags.split()]) == 0
    return place


@pytest.mark.parametrize("kind", ["pipe", "device", "itself", "folder"])
@pytest.mark.parametrize(
    ("name", "command"),
    [("settings.json", "evaluate knn"), ("settings.json", "inspect"), ("settings.json", "embed --out=e.csv"),
     ("settings.json", "export --to=safetensors --out=e.safetensors"), ("settings.json", "compare"),
     ("checkpoint.ckpt", "evaluate knn"), ("checkpoint.ckpt", "embed --out=e.csv"), ("knn.json", "compare")],
)  # fmt: skip
def test_special_files_in_a_run_end_in_a_clear_error(run, tmp_path, monkeypatch, capsys, name, command, kind):
    monkeypatch.chdir(tmp_path)
    copy = tmp_path / "run"
    copy.mkdir()
    for file in ("settings.json", "checkpoint.ckpt"):
        if file != name:
            (copy / file).write_bytes((run / "run" / file).read_bytes())
    SPECIAL[kind](copy / name)
    words = command.split()
    code = main(
        [*[word for word in words if "-" not in word[:2]], str(copy), *[word for word in words if "-" in word[:2]]]
    )
    said = capsys.readouterr()
    assert code == (0 if (name, words[0]) == ("knn.json", "compare") else 2)
    assert "Traceback" not in said.err
    assert (kind == "folder" and code == 0) or str(copy) in said.err or str(copy) in said.out


@pytest.mark.skipif(os.getuid() != 0, reason="only root can change to another user")
def test_a_folder_without_permission_is_a_clear_error_in_every_command(tmp_path_factory):
    place = Path("/tmp") / f"uota-closed-{os.getpid()}"  # other users cannot enter pytest's folders
    (place / "work").mkdir(parents=True)
    (place / "work").chmod(0o777)
    closed = fill(place / "closed", named("a", "b"))
    (closed / "settings.json").write_text("{}", encoding="utf-8")
    closed.chmod(0o700)
    code = (
        "import os, sys\n"
        "from uota.commands.cli import main\n"
        "import uota.comparison, uota.data.packed.saved, uota.data.packed.sharding, uota.evaluation.embed\n"
        "import uota.evaluation.evaluate, uota.runs.export, uota.inspection.command, uota.transfer.transfer\n"
        "import uota.training.pretrain\n"
        "import encodings.idna, modulefinder, tensorboard\n"  # which the other user may not be allowed to read
        f"os.setgid(65534); os.setuid(65534); os.chdir({str(place / 'work')!r})\n"
        "for line in sys.stdin.read().splitlines():\n"
        "    print('CODE', main(line.split()), flush=True)\n"
    )
    commands = [f"inspect {closed} --steps=0", f"pretrain --data={closed} --out=r", f"compare {closed}",
                f"evaluate knn {closed}", f"embed {closed} --out=e.csv", f"shard {closed} --out=s",
                f"export {closed} --to=timm --out=e.pth", f"transfer detection x --coco={closed} --out=t",
                f"pretrain --data={closed}/shards-*.tar --out=r", f"pretrain --data=demo --out={closed}/r",
                f"pretrain --resume --out={closed}", f"evaluate knn resnet18 --data={closed} --out=e"]  # fmt: skip
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], input="\n".join(commands), capture_output=True, text=True, timeout=60,
            env=os.environ | {"HOME": str(place / "work"), "MPLCONFIGDIR": str(place / "work"), "HF_HUB_OFFLINE": "1"},
        )  # fmt: skip
    finally:
        closed.chmod(0o777)
        shutil.rmtree(place)
    codes = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("CODE")]
    assert codes == ["2"] * len(commands), done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_log_that_is_a_special_file_is_reported(run, tmp_path, capsys, kind):
    (tmp_path / "run/logs/version_0").mkdir(parents=True)
    for file in ("settings.json", "checkpoint.ckpt"):
        (tmp_path / "run" / file).write_bytes((run / "run" / file).read_bytes())
    SPECIAL[kind](tmp_path / "run/logs/version_0/metrics.csv")
    page = tmp_path / "page.html"
    assert (
        main(["inspect", str(tmp_path / "run"), "--eyes=thumbnails", "--steps=0", "--images=3", f"--out={page}"]) == 0
    )
    assert "metrics.csv cannot be read and is not drawn" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["settings.json", "checkpoint.ckpt", "data.json"])
def test_no_command_overwrites_a_file_of_a_run(run, capsys, name):
    before = (run / "run" / name).read_bytes()
    assert main(["export", str(run / "run"), "--to=safetensors", f"--out={run / 'run' / name}"]) == 2
    assert "is a file of a run" in capsys.readouterr().err
    assert (run / "run" / name).read_bytes() == before


@pytest.mark.parametrize("flag", ["--epochs=2", "--learning_rate=5", "--data=demo", "--pixel_range=[0,9]"])
def test_flags_that_resume_ignores_are_reported(run, capsys, flag):
    assert main(["pretrain", "--resume", f"--out={run / 'run'}", flag]) == 0
    name = flag[2:].partition("=")[0]
    assert f"--resume takes the run's settings: {name} stays" in capsys.readouterr().err
