"""Folders of the demo's drawings, a share of which is misfiled on purpose."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from jaxtyping import Bool
from PIL import Image
from torch import Tensor

from uota.data import Groups, open_groups
from uota.data.demo.drawings import open_drawings_as_groups
from uota.data.source import Split
from uota.errors import UotaError
from uota.io.atomic import write_text_atomically
from uota.io.outputs import is_nonempty_dir
from uota.membership.misfile import misfile

# Parts of a folder of drawings; a file is PART/CATEGORY/THING/`thing (studio).png`.
PARTS: tuple[Split, Split] = ("train", "test")


class Archive(NamedTuple):
    """Folders that the demo writes.

    Attributes:
        drawings: all drawings, some of which are misfiled.
        known: the same without those that are misfiled, and without things that have one drawing left.
        truth: file that lists the misfiled drawings.
    """

    drawings: Path
    known: Path
    truth: Path


def archive_in(out: Path) -> Archive:
    """Return where an archive is, or will be, in a folder."""
    return Archive(out / "drawings", out / "known", out / "truth.json")


def write_archive(archive: Archive, share: float, seed: int, things: int | None = None) -> None:
    """Write all drawings in a folder for each thing, a share of those for training in the folder of another thing.

    An earlier archive is replaced.

    Args:
        archive: folders to write.
        share: of the drawings for training that are misfiled.
        seed: of the choice of these.
        things: number of things of each part; None: all.

    Raises:
        UotaError: a folder holds something else, or cannot be written.
    """
    train, test = (_first(open_drawings_as_groups(part), things) for part in PARTS)
    filed, wrong = misfile(train, share, seed)
    right = [[file for file in members if not wrong[file]] for members in filed.members]
    try:
        _remove(archive)
        write_text_atomically(archive.truth, json.dumps({"seed": seed, "misfiled": _misfiled(filed, wrong)}, indent=1))
        _write(archive.drawings / "train", filed, filed.members)
        _write(archive.known / "train", train, [own if len(own) > 1 else [] for own in right])
        for folder in (archive.drawings, archive.known):
            _write(folder / "test", test, test.members)
    except OSError as error:
        raise UotaError(
            f"the drawings cannot be written to {archive.drawings}: {error}; choose another --out"
        ) from error


def is_misfiled(drawing: Path) -> bool:
    """Whether a drawing of an archive, whose name says what it shows, is in the folder of another thing."""
    return thing_of(drawing) != drawing.parent.name


def thing_of(drawing: Path) -> str:
    """Return what a drawing of an archive shows."""
    return drawing.stem.rpartition(" (")[0]


def studio_of(drawing: Path) -> str:
    """Return the studio that drew a drawing of an archive."""
    return drawing.stem.rpartition(" (")[2].removesuffix(")")


def open_parts(drawings: Path) -> tuple[Groups, Groups]:
    """Open the groups of the drawings for training, and those for testing."""
    train, test = (open_groups(drawings / part, "all") for part in PARTS)
    return train, test


def _remove(archive: Archive) -> None:
    """Remove an earlier archive.

    Raises:
        UotaError: the folder that they are in has files, but not the list of a demo, so that they may be anything.
    """
    if is_nonempty_dir(archive.truth.parent) and not archive.truth.exists():
        raise UotaError(f"{archive.truth.parent} is not of an earlier demo; choose another --out, new or empty")
    for folder in (folder for folder in (archive.drawings, archive.known) if folder.exists()):
        shutil.rmtree(folder)


def _misfiled(filed: Groups, wrong: Bool[Tensor, " files"]) -> dict[str, str]:
    """Return the name of the group that each misfiled drawing is in, by the drawing's name."""
    return {
        filed.files.display_name(file): filed.display_name(number)
        for number, members in enumerate(filed.members)
        for file in members
        if wrong[file]
    }


def _first(groups: Groups, count: int | None) -> Groups:
    """Return things that are spread over all categories."""
    if count is None:
        return groups
    step = len(groups) / count
    places = [int(number * step) for number in range(count)]
    names = [groups.display_name(place) for place in places]
    assert groups.labels is not None
    return Groups(groups.files, [groups.members[place] for place in places], names=names, labels=groups.labels[places])


def _write(part: Path, groups: Groups, members: Iterable[Iterable[int]]) -> None:
    for number, files in enumerate(members):
        assert groups.labels is not None
        assert groups.classes is not None
        thing = part / groups.classes[int(groups.labels[number])] / groups.display_name(number)
        for file in files:
            thing.mkdir(parents=True, exist_ok=True)
            pixels = groups.files.images([file])[0].permute(1, 2, 0).numpy()
            Image.fromarray(pixels).save(thing / f"{groups.files.display_name(file)}.png")
