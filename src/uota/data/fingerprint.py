"""A fingerprint of the images of a run, so that it is not resumed on other images."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from uota.data.source import Source
from uota.errors import UotaError
from uota.io.reading import read_json


def fingerprint(source: Source) -> dict[str, Any]:
    """Number of images and of classes, and a digest of names, order and labels that does not depend on the location.

    The images themselves are not read.
    """
    digest = hashlib.sha256()
    for part in (*source.fingerprint_parts(), *_labels(source)):
        digest.update(len(part).to_bytes(8) + part)
    classes = len(source.classes) if source.classes else None
    return {"images": len(source), "classes": classes, "digest": digest.hexdigest()}


def require_same_images(source: Source, file: Path) -> None:
    """Require the images that a run was started with; runs of older versions left no fingerprint and pass.

    Args:
        source: the images available now.
        file: the fingerprint that was written at the start.

    Raises:
        UotaError: there are more, fewer or other images.
    """
    try:
        before = read_json(file)
        images, digest = before["images"], before["digest"]
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UotaError(f"{file} cannot be read: {error}; remove it to resume without comparing the images") from error
    now = fingerprint(source)
    if digest == now["digest"]:
        return
    counts = f"{now['images']} {source.unit}s now, {images} when the run was started"
    others = "" if images != now["images"] else ", with other names or labels"
    raise UotaError(
        f"the images of {source.name} are not those that the run was started with: {counts}{others}; "
        "put them back, or start a new run"
    )


def _labels(source: Source) -> Iterator[bytes]:
    yield json.dumps(source.classes).encode()
    yield b"" if source.labels is None else source.labels.numpy().tobytes()
