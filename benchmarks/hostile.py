"""Many invalid inputs of every kind in one process: how many are accepted, end in a clear error, or in a fault.

    python -m benchmarks.hostile [--attempts 400] [--kinds images,archives] [--seed 0]  (about 20 minutes)

Each attempt has 30 seconds. A fault is an exception other than `UotaError`, a program that is started, or a hang. Each
kind appends a line to benchmarks/results/hostile.jsonl. tests/hostile has a short form.
"""

import io
import json
import os
import random
import signal
import sys
import tarfile
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.command_line import RESULTS, make_parser, parse, positive, start
from uota import UotaError
from uota.commands.cli import main as uota
from uota.data import open_groups, open_source, warn_left_out
from uota.data.files.decode import UnreadableError, read_header, read_image
from uota.data.files.formats import FORMAT_OF_EXTENSION, readable_formats
from uota.data.packed.tar_index import make_index
from uota.runs.run import Run
from uota.transfer.annotations import open_annotations

OUT = RESULTS / "hostile.jsonl"
SECONDS = 30
STARTS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn"}
TINY = "--epochs=1 --batch_size=8 --workers=0 --threads=1 --accelerator=cpu --arbiter=none --local_views=0"
NONSENSE: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        2**31,
        2**63,
        10**400,
        -(10**400),
        0.5,
        -0.5,
        1e-320,
        1e308,
        float("nan"),
        float("inf"),
    ),
    *(
        "",
        " ",
        "x",
        "auto",
        "none",
        "null",
        "0",
        "-1",
        "1e400",
        "nan",
        "../..",
        "/dev/zero",
        "os.system",
        "\0",
        "\ud800",
        "日本",
    ),
    *([], [[]], [0], ["x"], [None] * 3, {}, {"x": 1}, {"class_path": "os.system", "init_args": {"command": "true"}}),
    *("x" * 10_000, [0] * 10_000, {"a": {"b": {"c": {"d": {}}}}}, "$HOME", "!!python/name:os.system", "*a", "&a b"),
]
KINDS = ("images", "archives", "indexes", "folders", "annotations", "settings", "checkpoints", "results", "flags")
started: list[str] = []


class Hang(BaseException):
    """An attempt that does not end; a BaseException, so that no handler of exceptions catches it."""


Attempt = Callable[[random.Random, Path], None]


def damaged(chance: random.Random, data: bytes) -> bytes:
    """Change, cut out, double or cut off some of the bytes."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        start = chance.randrange(len(out) + 1)
        end = min(len(out), start + chance.choice((1, 1, 4, 16, 512)))
        kind = chance.randrange(6)
        if kind == 0:
            del out[start:]
        elif kind == 1:
            del out[start:end]
        elif kind == 2:
            out[start:start] = out[start:end]
        elif kind == 3:
            out[start:end] = bytes(end - start)
        else:
            out[start:end] = chance.randbytes(end - start)
        if not out:
            break
    return bytes(out)


def picture(chance: random.Random, kind: str) -> bytes:
    """Encode a random picture of a random mode."""
    mode = chance.choice(("RGB", "L", "RGBA", "P", "1", "I;16", "F", "CMYK", "LA"))
    values = np.random.default_rng(chance.randrange(2**32)).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    image = Image.fromarray(values)
    if mode == "F":
        image = Image.fromarray(values[..., 0].astype(np.float32))
    elif mode == "I;16":
        image = Image.fromarray(values[..., 0].astype(np.uint16) * 200)
    else:
        image = image.convert(mode)
    file = io.BytesIO()
    try:
        image.save(file, kind)
    except (OSError, KeyError, ValueError):
        file = io.BytesIO()
        Image.fromarray(values).save(file, kind if kind in Image.SAVE else "PNG")
    return file.getvalue()


def images(chance: random.Random, place: Path) -> None:
    """Read a damaged picture."""
    path = place / f"x{chance.choice(list(FORMAT_OF_EXTENSION))}"
    path.write_bytes(damaged(chance, picture(chance, chance.choice(readable_formats()))))
    for read in (read_image, read_header):
        try:
            read(path)
        except UnreadableError as error:
            if read is read_image:
                raise UotaError(str(error)) from error


def archive(chance: random.Random) -> bytes:
    """Return a tar file of pictures with labels."""
    file = io.BytesIO()
    how = chance.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT))
    with tarfile.open(fileobj=file, mode="w", format=how) as tar:
        for number in range(8):
            for kind, data in (("png", picture(chance, "PNG")), ("cls", b"%d" % (number % 2))):
                info = tarfile.TarInfo(f"{'long/' * (30 if how == tarfile.GNU_FORMAT else 1)}{number}.{kind}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return file.getvalue()


def archives(chance: random.Random, place: Path) -> None:
    """Read a damaged tar file."""
    (place / "a.tar").write_bytes(damaged(chance, archive(chance)))
    source = open_source(place / "a.tar")
    source.images(range(len(source)))


def indexes(chance: random.Random, place: Path) -> None:
    """Read a tar file with a damaged index."""
    (place / "a.tar").write_bytes(archive(chance))
    make_index(place / "a.tar")
    index = place / "a.tar.index"
    if chance.random() < 0.5:
        index.write_bytes(damaged(chance, index.read_bytes()))
    else:
        with np.load(index) as stored:
            arrays = dict(stored)
        name = chance.choice([name for name in arrays if name != "stamp"])
        array = arrays[name].copy()
        if array.size:
            array[chance.randrange(array.size)] = chance.choice((-1, 0, 7, 512, 2**7, 2**62)) % 2 ** (
                8 * array.itemsize - 1
            )
        with index.open("wb") as file:
            np.savez(file, **arrays | {name: array[: chance.randint(0, array.size)]})
    source = open_source(place / "a.tar")
    source.images(range(len(source)))


def folders(chance: random.Random, place: Path) -> None:
    """Read a tree of odd names, links, pipes and files of other kinds."""
    names = ["train", "Test", "val", "a", "b", "ä ö", "b\nc", "-f", "=1+1", "\x1b[31m", "x.png", ".hidden", "..."]
    made = [place]
    for _ in range(chance.randint(1, 6)):
        folder = chance.choice(made) / chance.choice(names)
        if not folder.exists() and not folder.is_symlink():
            folder.mkdir()
            made.append(folder)
    for number in range(chance.randint(3, 40)):
        path = (
            chance.choice(made)
            / f"{chance.choice(('', *names))}{number}{chance.choice(('', '.png', '.jpg', '.HEIC', '.txt'))}"
        )
        kind = chance.randrange(8)
        if path.exists() or path.is_symlink():
            continue
        if kind == 0:
            os.mkfifo(path)
        elif kind == 1:
            path.symlink_to(chance.choice((path, place, "/dev/zero", "nowhere")))
        elif kind == 2:
            path.write_bytes(chance.randbytes(chance.randrange(200)))
        else:
            path.write_bytes(picture(chance, chance.choice(("PNG", "JPEG"))))
    for split in ("train", "test"):
        source = open_source(place, split)
        warn_left_out(source)
        source.images(range(len(source)))
    if chance.random() < 0.3:
        open_groups(place)


def run_folder(place: Path) -> Path:
    """Train and evaluate a small run."""
    for number in range(16):
        path = place / "data" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path)
    assert uota(["pretrain", f"--data={place / 'data'}", f"--out={place / 'run'}", *TINY.split()]) == 0
    assert uota(["evaluate", "knn", str(place / "run")]) == 0
    return place / "run"


def _copy(run: Path, place: Path, **changed: bytes) -> Path:
    copy = place / "run"
    copy.mkdir()
    for name in ("settings.json", "checkpoint.ckpt", "knn.json"):
        (copy / name).write_bytes(changed.get(name.partition(".")[0], (run / name).read_bytes()))
    return copy


def command(words: list[str]) -> None:
    """Run a command, which must succeed or end in a clear error."""
    said = io.StringIO()
    with redirect_stderr(said):
        code = uota(words)
    if "Traceback" in said.getvalue():
        raise RuntimeError(said.getvalue())
    if code == 2:
        raise UotaError(said.getvalue())
    assert code == 0, code


OF_RUNS = [
    ["evaluate", "knn"],
    ["embed", "--out=e.csv"],
    ["export", "--to=safetensors", "--out=e.safetensors"],
    ["compare"],
]


def settings(run: Path) -> Attempt:
    """Return an attempt that puts nonsense into the settings of a run."""

    def attempt(chance: random.Random, place: Path) -> None:
        content = json.loads((run / "settings.json").read_text(encoding="utf-8"))
        for _ in range(chance.choice((1, 1, 1, 3))):
            content[chance.choice(list(content))] = chance.choice(NONSENSE)
        text = json.dumps(content).encode()
        if chance.random() < 0.15:
            text = damaged(chance, text)
        copy = _copy(run, place, settings=text)
        words = chance.choice([*OF_RUNS, ["inspect", "--eyes=thumbnails", "--steps=0", "--images=3", "--out=p.html"]])
        command([*[word for word in words if "=" not in word], str(copy), *[word for word in words if "=" in word]])

    return attempt


def checkpoints(run: Path) -> Attempt:
    """Return an attempt that damages the checkpoint of a run."""

    def attempt(chance: random.Random, place: Path) -> None:
        copy = _copy(run, place, checkpoint=damaged(chance, (run / "checkpoint.ckpt").read_bytes()))
        words = chance.choice([*OF_RUNS, ["pretrain", "--resume"]])
        if words[0] == "pretrain":
            command([*words, f"--out={copy}"])
        else:
            command([*[word for word in words if "=" not in word], str(copy), *[word for word in words if "=" in word]])

    return attempt


def results(run: Path) -> Attempt:
    """Return an attempt that damages the results of a run."""

    def attempt(chance: random.Random, place: Path) -> None:
        content = json.loads((run / "knn.json").read_text(encoding="utf-8"))
        content[chance.choice(list(content))] = chance.choice(NONSENSE)
        text = json.dumps(content).encode()
        copy = _copy(run, place, knn=damaged(chance, text) if chance.random() < 0.5 else text)
        command(["compare", str(copy), str(run), f"--to={chance.choice(('text', 'markdown', 'csv', 'latex', 'html'))}"])

    return attempt


def flags(run: Path) -> Attempt:
    """Return an attempt that gives a flag of a command a nonsensical value."""
    data = run.parent / "data"
    commands = {
        "pretrain": (["pretrain", f"--data={data}", "--out=r", *TINY.split()], None),
        "evaluate": (["evaluate", "finetune", str(run), "--epochs=1", "--labels=100%"], None),
        "inspect": (["inspect", str(data), "--eyes=thumbnails", "--steps=0", "--images=3", "--out=p.html"], None),
        "embed": (["embed", str(run), "--out=e.csv"], None),
        "shard": (["shard", str(data), "--out=s"], None),
        "compare": (["compare", str(run)], None),
        "export": (["export", str(run), "--to=safetensors", "--out=e"], None),
    }
    fields = Run(run).settings().as_flat()
    training = (
        "epochs batch_size learning_rate head_learning_rate drops weight_decay momentum smallest_crop seed workers"
    )
    names = {
        "pretrain": [*fields, "out", "config"],
        "evaluate": f"labels {training} accelerator devices data out backbone views".split(),
        "inspect": [
            "data",
            "out",
            "views",
            "view_options",
            "files",
            "table",
            "inject",
            "eyes",
            "backbone",
            "steps",
            "images",
            "seed",
        ],
        "embed": ["data", "out", "seed"],
        "shard": ["out", "shard_size"],
        "compare": ["to"],
        "export": ["to", "out", "backbone", "views", "pickle"],
    }

    def attempt(chance: random.Random, place: Path) -> None:
        name = chance.choice(["pretrain", "pretrain", *commands])
        words = commands[name][0]
        value = chance.choice(NONSENSE)
        text = value if isinstance(value, str) else json.dumps(value)
        flag = chance.choice(names[name])
        if flag == "devices" and text.isdigit() and int(text) > 1:
            return  # would start as many processes
        if flag == "threads" and text in ("1", "true"):
            return
        command([*words, f"--{flag}={text}"])

    return attempt


def annotations(chance: random.Random, place: Path) -> None:
    """Read a COCO file with nonsense in some of its values."""
    (place / "val2017").mkdir()
    (place / "annotations").mkdir()
    rows = [{"id": n, "file_name": f"{n}.jpg", "height": 20, "width": 24} for n in range(3)]
    for row in rows:
        (place / "val2017" / str(row["file_name"])).write_bytes(picture(chance, "JPEG"))
    objects = [
        {"id": n, "image_id": n % 3, "category_id": 1, "bbox": [1, 1, 9, 9], "area": 81, "iscrowd": 0,
         "segmentation": [[1, 1, 9, 1, 9, 9]]} for n in range(6)
    ]  # fmt: skip
    content: dict[str, Any] = {"images": rows, "annotations": objects, "categories": [{"id": 1, "name": "a"}]}
    for _ in range(chance.choice((1, 1, 4))):
        part = content[chance.choice(list(content))]
        row = chance.choice(part)
        row[chance.choice(list(row))] = chance.choice(NONSENSE)
    text = json.dumps(content).encode()
    text = damaged(chance, text) if chance.random() < 0.2 else text
    (place / "annotations/instances_val2017.json").write_bytes(text)
    open_annotations(place, "val", chance.choice(("detection", "segmentation")))


def attempts(kind: str, attempt: Attempt, count: int, seed: int) -> dict[str, Any]:
    """Make the attempts, and count how they end."""
    ends: Counter[str] = Counter()
    faults: list[str] = []
    slowest = 0.0
    here = os.getcwd()
    for number in range(count):
        chance = random.Random(f"{kind} {seed} {number}")
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            place = Path(folder) / "place"
            place.mkdir()
            started.clear()
            began = time.perf_counter()
            signal.alarm(SECONDS)
            try:
                with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                    attempt(chance, place)
                end = "fine"
            except UotaError:
                end = "sentence"
            except Hang:
                end = "hang"
            except BaseException as error:
                end = "fault"
                last = traceback.extract_tb(error.__traceback__)[-1]
                faults.append(f"{number}: {type(error).__name__}: {str(error)[-300:]} ({last.filename}:{last.lineno})")
            finally:
                signal.alarm(0)
                os.chdir(here)
            if started:
                end = "program"
            slowest = max(slowest, time.perf_counter() - began)
        ends[end] += 1
        if end in ("hang", "program"):
            faults.append(f"{number}: {end} {started}")
    for fault in faults:
        print(f"{kind} {fault}", file=sys.stderr)
    return {"kind": kind, "attempts": count, "seed": seed, **ends, "slowest_seconds": round(slowest, 2)}


def _watch(event: str, arguments: Any) -> None:
    if event in STARTS:
        started.append(f"{event} {arguments!r}"[:200])


def _end(number: int, frame: Any) -> None:
    raise Hang


def kinds(place: Path) -> Iterator[tuple[str, Attempt, float]]:
    """Yield each kind of input, its attempt, and a factor of the number of attempts."""
    yield "images", images, 5
    yield "archives", archives, 2
    yield "indexes", indexes, 1
    yield "folders", folders, 1
    yield "annotations", annotations, 1
    run = run_folder(place)
    yield "settings", settings(run), 1
    yield "checkpoints", checkpoints(run), 0.5
    yield "results", results(run), 1
    yield "flags", flags(run), 1


def run(count: int, chosen: list[str], seed: int, out: Path) -> None:
    """Print a line for each kind and append it to a file."""
    sys.addaudithook(_watch)
    before = signal.signal(signal.SIGALRM, _end)
    with tempfile.TemporaryDirectory() as folder:
        for kind, attempt, times in kinds(Path(folder)):
            if chosen and kind not in chosen:
                continue
            line = json.dumps(attempts(kind, attempt, max(1, round(times * count)), seed))
            print(line, flush=True)
            with out.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")

    signal.signal(signal.SIGALRM, before)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make all attempts."""
    parser = make_parser("hostile", __doc__)
    parser.add_argument("--attempts", type=positive, help="attempts of each kind, some kinds excepted (default 400)")
    parser.add_argument("--kinds", default="", help=f"some of {','.join(KINDS)} (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    asked = parse(parser, arguments, OUT)
    chosen = [kind for kind in asked.kinds.split(",") if kind]
    if unknown := [kind for kind in chosen if kind not in KINDS]:
        parser.error(f"there is no kind {unknown[0]!r}; choose among {', '.join(KINDS)}")
    run(asked.attempts or (1 if asked.tiny else 400), chosen, asked.seed, asked.out)


if __name__ == "__main__":
    start(main)
