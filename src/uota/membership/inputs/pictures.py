"""Pictures as members: files in the folders of their groups, or any other pictures whose groups are known."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from uota.console import printable
from uota.data import FolderOptions, Groups, Source, open_groups, warn_left_out, warn_skipped
from uota.data.open import folder_options
from uota.errors import UotaError
from uota.io.outputs import path_of
from uota.membership.eyes import file_features, open_file_eyes
from uota.membership.inputs.members import Members, members_of
from uota.membership.inputs.names import Numbered, is_missing, number_groups
from uota.membership.origin import Origin
from uota.membership.projection import Features
from uota.membership.verdicts import FILE
from uota.runs.run import Run
from uota.settings.pretrain import Reading
from uota.views import PRESETS

logger = logging.getLogger(__name__)
# Pictures are shrunk on reading, so that no side is longer.
MAX_SIDE = 640


@dataclass(frozen=True)
class Looking:
    """How pictures are seen.

    Attributes:
        eyes: as `uota.membership.eyes.open_file_eyes` takes them.
        backbone: network of a file of weights, if it cannot be inferred.
        options: how files are read.
    """

    eyes: str
    backbone: str | None
    options: FolderOptions


def looking(eyes: str, backbone: str | None, reading: Reading, run: Run | None = None) -> Looking:
    """Return how pictures are seen: by a run's encoder, unless other eyes are named, and read as for that run."""
    options = replace(folder_options(run.settings() if run else None, reading), max_side=MAX_SIDE, cache_megabytes=0)
    return Looking(str(run.folder) if run and eyes == "auto" else eyes, backbone, options)


def read_folder(name: str, looking: Looking) -> Members:
    """Look at the files of all groups of a folder, or of `demo-drawings`.

    Raises:
        UotaError: there is no such folder, it has fewer than two groups, or there are no such eyes.
    """
    groups = open_groups(name, "all", looking.options)
    warn_left_out(groups)
    return file_members(groups, _features(groups.files, looking), name)


def file_members(groups: Groups, features: Features, name: str) -> Members:
    """Return the readable files of groups as members.

    Args:
        groups: the groups.
        features: features of all files, by kind.
        name: folder to which the names of members are relative, or name of the source.
    """
    of_file = {file: groups.display_name(number) for number, group in enumerate(groups.members) for file in group}
    files = range(len(groups.files))
    ids = [relative_name(groups, index, name) for index in files]
    folder = path_of(name)
    origin = Origin(name, folder if folder.is_dir() and groups.files.path(0) else None, groups.files)
    return _kept(features, [of_file.get(index) for index in files], ids, FILE, origin)


def see(files: Source, groups: Sequence[Any], ids: Sequence[str], looking: Looking, id_name: str = FILE) -> Members:
    """Compute features of pictures; those that cannot be read, or have no group, are left out with a message.

    Args:
        files: the pictures.
        groups: group of each; None, or NaN: it has none.
        ids: name of each.
        looking: how they are seen.
        id_name: what names are.

    Raises:
        UotaError: there are no such eyes, or no pictures are left.
    """
    return _kept(_features(files, looking), groups, ids, id_name, Origin(files.name, pictures=files))


def _features(files: Source, looking: Looking) -> Features:
    preset = PRESETS["small-grey" if files.channels == 1 else "small"]
    features = file_features(files, open_file_eyes(looking.eyes, files, preset, looking.backbone))
    warn_skipped(files)
    return features


def _kept(features: Features, groups: Sequence[Any], ids: Sequence[str], id_name: str, origin: Origin) -> Members:
    """Return the pictures that can be read and have a group."""
    files = origin.pictures
    assert files is not None
    grouped = torch.tensor([not is_missing(group) for group in groups])
    if not bool(grouped.all()):
        first = printable(ids[int((~grouped).int().argmax())])
        logger.warning(f"{int((~grouped).sum())} picture(s) have no group, and are left out, such as {first}")
    kept = torch.nonzero(grouped & ~files.unreadable(torch.arange(len(files))))[:, 0]
    if not len(kept):
        raise UotaError(f"{files.name} has no picture with a group; give some")
    places = kept.tolist()
    numbered: Numbered = number_groups([groups[place] for place in places])
    chosen = {name: each[kept] for name, each in features.items()}
    return members_of(chosen, numbered, [ids[place] for place in places], id_name, replace(origin, place=places))


def relative_name(groups: Groups, index: int, name: str) -> str:
    """Return the path of a file relative to the folder that the user named, and of what is no file, its name."""
    path = groups.files.path(index)
    try:
        return path.relative_to(path_of(name)).as_posix() if path else groups.files.display_name(index)
    except ValueError:
        return str(path)


def is_run(name: str) -> bool:
    """Whether this is the folder of a run."""
    return Run(Path(path_of(name))).settings_file.is_file()
