"""`uota shard`: writes a folder of images as tar shards in WebDataset's layout."""

import hashlib
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Int64
from numpy.typing import NDArray
from rich.progress import Progress

from uota.console import PROGRESS, printable
from uota.data.files.decode import UnreadableError, decode_image, read_file
from uota.data.files.find import find_images
from uota.data.files.formats import FORMAT_OF_EXTENSION, HEAD, format_of_content
from uota.data.files.left_out import LeftOut
from uota.data.files.listing import Listing, list_split
from uota.data.files.patience import patiently
from uota.data.files.splits import UNLABELLED
from uota.data.packed.shards import DESCRIPTION
from uota.data.packed.tar_index import make_index, sample_name, stored_index
from uota.errors import UotaError
from uota.io.atomic import atomic_write, write_text_atomically
from uota.io.locks import Written, hold
from uota.io.outputs import is_nonempty_dir
from uota.io.reading import open_regular, read_text
from uota.settings.pretrain import IMAGE_MEGABYTES

Advance = Callable[[int], None]
WRITTEN: Written = dict.fromkeys((DESCRIPTION, "*.tar", "*.tar.index"))


@dataclass(frozen=True)
class Sharded:
    """What was written.

    Attributes:
        images: number of images.
        shards: the tar files.
        left_out: files that cannot be decoded.
        unused: what else is in the folder, and which images have no label.
    """

    images: int
    shards: list[Path]
    left_out: list[Path]
    unused: LeftOut


@dataclass(frozen=True)
class Member:
    """An image, with its name and label in a shard."""

    path: Path
    name: str
    label: int | None


@dataclass(frozen=True)
class Planned:
    """The images planned for one shard: indices into a listing, whose names and labels all its shards share."""

    listing: Listing
    names: list[str]
    labels: list[int] | None
    chosen: Int64[np.ndarray, " chosen"]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.chosen)

    def members(self) -> Iterator[Member]:
        """Yield the chosen images as members of a shard."""
        for index in self.chosen.tolist():
            label = self.labels[index] if self.labels else UNLABELLED
            yield Member(self.listing.path(index), self.names[index], None if label == UNLABELLED else label)


def shard(folder: Path, out: Path, shard_size: int = 256, image_megabytes: int = IMAGE_MEGABYTES) -> Sharded:
    """Write the unchanged images of a folder into shards named after their split, in random order.

    Splits and labels are those of `open_folder`. An image is named by its path, and its label is a number in a `.cls`
    file beside it; `shards.json` has the class names. Each image is decoded once, and left out if that fails. A shard
    gets its name only when it is complete, so that the same call resumes after an interruption.

    Args:
        folder: the images.
        out: a folder that is empty, or that an interrupted call left.
        shard_size: approximate size of a shard in MB.
        image_megabytes: largest decoded size of an image; larger ones are left out.

    Raises:
        UotaError: there are no images, `out` contains something else, or another process is writing there.
    """
    if shard_size < 1:
        raise UotaError(f"shard_size is {shard_size}; it is in MB and must be at least 1")
    if not folder.is_dir():
        raise UotaError(f"there is no folder {folder}; give one with images")
    files, closed, unused = find_images(folder)
    if not files:
        raise UotaError("; ".join([f"{folder} has no images to write into shards", *unused.sentences()]))
    listings = {split: list_split(folder, files, split) for split in ("train", "test")}
    unused.add_all(listings["train"].left_out)
    if listings["train"] == listings["test"]:
        listings = {"images": listings["train"]}
    plan = dict(pair for split, listing in listings.items() for pair in _plan(split, listing, shard_size))
    description = _description(plan, listings)
    _is_begun(out, description, folder)
    left_out = [folder / name for name in closed]
    with hold(out, WRITTEN), Progress(console=PROGRESS) as bar:
        if not _is_begun(out, description, folder):  # checked again, now that no other process can change it
            write_text_atomically(out / DESCRIPTION, description)
        task = bar.add_task("images", total=sum(map(len, plan.values())))
        for name, planned in plan.items():
            left_out += _write(out / name, planned, image_megabytes, lambda count: bar.advance(task, count))
    images = sum(map(len, plan.values())) - len(left_out) + len(closed)
    if not images:
        raise UotaError(f"none of the {len(left_out)} images of {folder} can be read, such as {printable(left_out[0])}")
    return Sharded(images, [out / name for name in plan], left_out, unused)


def _plan(split: str, listing: Listing, shard_size: int) -> Iterator[tuple[str, Planned]]:
    """The shards of a split, with their images."""
    labels = listing.labels()
    taken: set[str] = set()
    names = [_name(file, _extension(listing.path(index)), taken) for index, file in enumerate(listing.files)]
    # Training shuffles a few shards at a time, so each must be a random sample of all images.
    order = np.random.default_rng(0).permutation(len(listing))
    overhead = tarfile.BLOCKSIZE * (1 if labels is None else 3)
    sizes = np.array([_size(listing.path(index)) + overhead for index in order.tolist()])
    shards = (sizes.cumsum() - sizes) // (shard_size * 10**6)
    for number, shard in enumerate(np.unique(shards)):
        yield f"{split}-{number:05}.tar", Planned(listing, names, labels, order[shards == shard])


def _extension(path: Path) -> str:
    """The extension of an image in a shard, which readers go by: its own, or the one of its content."""
    if (own := path.suffix.lower()) in FORMAT_OF_EXTENSION:
        return own
    try:
        with open(open_regular(path), "rb") as file:
            kind = format_of_content(file.read(HEAD))
    except OSError:  # reported when it is written
        return own
    return next((extension for extension, name in FORMAT_OF_EXTENSION.items() if name == kind), own)


def _name(file: str, extension: str, taken: set[str]) -> str:
    """A unique name for an image in a shard: its path, without dots before the extension."""
    path = PurePosixPath(file)
    stem = (path.stem if path.suffix.lower() == extension else path.name).replace(".", "_")
    unique = stem
    while (key := str(path.with_name(unique))) in taken:
        unique = f"{stem}_{len(taken)}"
    taken.add(key)
    return f"{key}{extension}"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # a broken link; left out when reading it fails
        return 0


def _description(plan: dict[str, Planned], listings: dict[str, Listing]) -> str:
    """The description of the planned shards, as JSON."""
    digest = hashlib.sha256()
    for name, planned in plan.items():
        for member in planned.members():
            digest.update(os.fsencode(f"{name} {member.name} {_size(member.path)}\n"))
    written = {"classes": next(iter(listings.values())).classes, "shards": [*plan], "images": digest.hexdigest()}
    return json.dumps(written, indent=1)


def _is_begun(out: Path, description: str, folder: Path) -> bool:
    """Whether the folder has shards of the same images already.

    Raises:
        UotaError: it contains something else.
    """
    with suppress(OSError, ValueError):  # there is no description, or one of another program
        if read_text(out / DESCRIPTION) == description:
            return True
    if is_nonempty_dir(out):
        raise UotaError(f"{out} is not empty, and has no shards of the images in {folder}; choose another --out")
    return False


def _write(shard: Path, planned: Planned, megabytes: int, advance: Advance) -> list[Path]:
    """Write a shard, if it is missing, and its index; returns the planned images that are not in it."""
    if not shard.exists():
        with atomic_write(shard) as unfinished, tarfile.open(unfinished, "w", format=tarfile.PAX_FORMAT) as tar:
            for member in planned.members():
                _add(tar, member, megabytes)
                advance(1)
    else:
        advance(len(planned))
    index = stored_index(shard) or make_index(shard)
    names = set(index.each_name())
    return [member.path for member in planned.members() if os.fsencode(member.name) not in names]


def _add(tar: tarfile.TarFile, member: Member, megabytes: int) -> None:
    try:
        data = patiently(lambda: _read(member.path), member.path)
        decode_image(data, megabytes=megabytes)
    except UnreadableError:
        return
    _add_file(tar, member.name, data.tobytes())
    if member.label is not None:
        _add_file(tar, f"{sample_name(member.name)[0]}.cls", str(member.label).encode())


def _read(path: Path) -> NDArray[np.uint8]:
    try:
        return read_file(path)
    except PermissionError as error:  # concerns this file only, which is reported
        raise UnreadableError("permission denied") from error


def _add_file(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, BytesIO(data))
