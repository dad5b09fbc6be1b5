"""What a run remembers of its images, so that it is not resumed on others."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from uota.data.files.folder import Folder
from uota.data.files.groups import Groups
from uota.data.packed.saved import Rows
from uota.data.packed.shards import Shards
from uota.data.packed.source import PackedSource
from uota.data.source import Source
from uota.errors import UotaError
from uota.io.reading import read_json


def fingerprint(source: Source) -> dict[str, Any]:
    """Number of images and of classes, and a digest of names, order and labels, wherever the images lie.

    The images themselves are not read.
    """
    digest = hashlib.sha256()
    for part in (*_listing(source), *_labels(source)):
        digest.update(len(part).to_bytes(8) + part)
    classes = len(source.classes) if source.classes else None
    return {"images": len(source), "classes": classes, "digest": digest.hexdigest()}


def require_same_images(source: Source, file: Path) -> None:
    """Require the images that a run was started with; runs of older versions have no file of them and are not checked.

    Args:
        source: of the images there are now.
        file: in which the fingerprint was written at the start.

    Raises:
        UotaError: there are more, fewer or others.
    """
    try:
        before = read_json(file)
        images, digest = before["images"], before["digest"]
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UotaError(
            f"{file} cannot be read: {error}; remove it, and no comparison tells whether the images are the same"
        ) from error
    now = fingerprint(source)
    if digest == now["digest"]:
        return
    kind = "groups" if isinstance(source, Groups) else "images"
    counts = f"{now['images']} {kind} now, {images} when the run was started"
    others = "" if images != now["images"] else ", with other names or labels"
    raise UotaError(
        f"the images of {source.name} are not those that the run was started with: {counts}{others}; "
        "put them back, or start a new run"
    )


def _listing(source: Source) -> Iterator[bytes]:
    """What tells the images of a source from those of another."""
    if isinstance(source, Groups):
        yield np.array([len(group) for group in source.members], dtype=np.int64).tobytes()
        yield from _listing(source.files)
    elif isinstance(source, Folder):
        yield from map(os.fsencode, source.files)
    elif isinstance(source, PackedSource):
        yield from _packed(source.files)
    else:
        yield f"{source.name} {len(source)}".encode()


def _packed(files: Any) -> Iterator[bytes]:
    if isinstance(files, Shards):
        yield from (os.fsencode(shard.name) for shard in files.shards)
        index = files.index
        for array in (files.which, index.names, index.lengths, index.starts, index.sizes):
            yield np.ascontiguousarray(array).tobytes()
    elif isinstance(files, Rows):
        yield files.column.encode()
        yield np.asarray(files.rows, dtype=np.int64).tobytes()
    else:
        yield from (os.fsencode(files.path(index).name) for index in range(len(files)))


def _labels(source: Source) -> Iterator[bytes]:
    yield json.dumps(source.classes).encode()
    yield b"" if source.labels is None else source.labels.numpy().tobytes()
