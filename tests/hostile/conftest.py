"""Helpers for tests of invalid input: small pictures, archives, and a record of the programs that are started."""

import io
import sys
import tarfile

import numpy as np
import pytest
from PIL import Image

STARTS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn", "os.startfile"}
_started: list[str] | None = None


def _watch(event, arguments):
    if _started is not None and event in STARTS:
        _started.append(f"{event} {arguments!r}")


sys.addaudithook(_watch)  # an audit hook cannot be removed


@pytest.fixture
def starts():
    """List of the programs that were started since the test began."""
    global _started
    _started = []
    yield _started
    _started = None


def noise(seed=0, size=(32, 32), mode="RGB"):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def encoded(seed=0, size=(32, 32), kind="PNG", **save):
    file = io.BytesIO()
    noise(seed, size).save(file, kind, **save)
    return file.getvalue()


def write_tar(path, members, **how):
    with tarfile.open(path, "w", **how) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def fill(folder, names, first=0):
    """Write pictures at these paths in a folder."""
    for number, name in enumerate(names, first):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(number))
    return folder


def named(*classes, each=5):
    return [f"{name}/{number}.png" for name in classes for number in range(each)]
