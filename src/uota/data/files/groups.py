"""Groups: several images of one thing, such as the photographs of a product or the frames of a clip."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from uota.console import printable, some_of
from uota.data.files.decoded import FolderOptions
from uota.data.files.folder import find_readable
from uota.data.files.listing import list_split
from uota.data.source import Source, Split
from uota.errors import UotaError

REMEDY = "give a folder with a sub-folder for each thing, and in each at least two images of it"


class Groups(Source):
    """A source whose items are groups: a view of an item shows one of its images.

    `len`, `labels` and the index of a sample refer to groups; the indices that `images` takes, and those in view
    parameters, refer to `files`.

    Attributes:
        members: indices in `files` of each group's images.
        alone: folders with a single image, and images beside folders of images; relative to the source's folder.
    """

    unit = "group"

    def __init__(
        self,
        files: Source,
        members: Sequence[Sequence[int]],
        alone: Sequence[str] = (),
        names: Sequence[str] | None = None,
        labels: Int64[Tensor, " len"] | None = None,
    ) -> None:
        """Group the images of a source.

        A group without a name has that of its first image's folder, and one without a label that of its first image.
        """
        self._files, self.members, self.alone, self._names = files, members, list(alone), names
        self.name, self.channels, self.classes = files.name, files.channels, files.classes
        self.in_memory, self.pixel_range, self.reasons = files.in_memory, files.pixel_range, files.reasons
        self.held_out = files.held_out
        if labels is None and files.labels is not None:
            labels = files.labels[torch.tensor([group[0] for group in members])]
        self.labels: Int64[Tensor, " len"] | None = labels

    def __len__(self) -> int:
        """Number of groups."""
        return len(self.members)

    def images(self, indices: Sequence[int]) -> list[UInt8[Tensor, "channels _height _width"]]:
        """These images of `files`."""
        return self.files.images(indices)

    @property
    def files(self) -> Source:
        """The images of all groups."""
        return self._files

    @property
    def total(self) -> int:
        """Number of images that opening found."""
        return self.files.total

    @property
    def skipped(self) -> list[Path]:
        """Files that could not be read so far."""
        return self.files.skipped

    def path(self, index: int) -> Path | None:
        """Path of a group's first image."""
        return self.files.path(self.members[index][0])

    def display_name(self, index: int) -> str:
        """The name of a group, or its folder; its number if it has neither."""
        if self._names:
            return self._names[index]
        folder = self.files.display_name(self.members[index][0]).rpartition("/")[0]
        return folder or str(index)

    def with_members(self, members: Sequence[Sequence[int]]) -> "Groups":
        """The same groups, with the same names and labels, of other images."""
        names = [self.display_name(number) for number in range(len(self))]
        return Groups(self.files, members, self.alone, names, self.labels)

    def belongs(
        self, images: Int64[Tensor, "views batch"], items: Int64[Tensor, " batch"]
    ) -> Bool[Tensor, "views batch"]:
        """True where an image is one of the group in its column."""
        members = [set(self.members[item]) for item in items.tolist()]
        rows = [[image in own for image, own in zip(row, members, strict=True)] for row in images.tolist()]
        return torch.tensor(rows)

    def unreadable(self, images: Int64[Tensor, "*shape"]) -> Bool[Tensor, "*shape"]:
        """True for images of `files` that are known to be unreadable."""
        return self.files.unreadable(images)

    def unreadable_counts(self) -> tuple[int, int]:
        """Number of images that could not be read since opening, and number of images tried."""
        return self.files.unreadable_counts()

    def remarks(self, at_most: int = 5) -> list[str]:
        """Sentences on images that are in no group, and on what else opening left out or decided."""
        if not self.alone:
            return self.files.remarks(at_most)
        named = some_of([printable(name) for name in self.alone], at_most)
        of = printable(self.name)
        alone = f"{len(self.alone)} image(s) of {of} are alone or beside folders, and left out: {named}"
        return [alone, *self.files.remarks(at_most)]

    def fingerprint_parts(self) -> Iterator[bytes]:
        """The sizes of the groups, then the names of their files."""
        yield np.array([len(group) for group in self.members], dtype=np.int64).tobytes()
        yield from self.files.fingerprint_parts()


def open_groups_of_folder(folder: Path, split: Split, options: FolderOptions | None = None) -> Groups:
    """The groups of a split of a folder.

    Each lowest folder is a group. Groups of a single image, and images beside folders, are left out. Labels are the
    first-level sub-folders if the groups are deeper. Splits are those of `open_folder`, and never cut a group in two.

    Raises:
        UotaError: there are no images that can be read, or fewer than two groups.
    """
    options = options or FolderOptions()
    found = find_readable(folder, options)
    images = _by_folder(found.files)
    groups = sorted(name for name, files in images.items() if len(files) > 1)
    if len(groups) < 2:
        raise UotaError(f"{folder} has {len(groups)} sub-folder(s) of two or more images, two are needed; {REMEDY}")
    listing = list_split(folder, groups, split, of="groups")
    above = listing.root.relative_to(folder)
    members = [[_name(name, file) for file in images[(above / name).as_posix()]] for name in listing.files]
    sizes = [len(group) for group in members]
    files = replace(listing, files=[file for group in members for file in group])
    substitute_group = np.repeat(np.arange(len(sizes)), sizes)
    ranges = [range(start, end) for start, end in pairwise(np.cumsum([0, *sizes]).tolist())]
    return Groups(found.folder(files, substitute_group), ranges, _alone(found.files, images))


def _by_folder(files: Sequence[str]) -> dict[str, list[str]]:
    """Names of the images in each lowest folder, by the folder's path."""
    images: dict[str, list[str]] = defaultdict(list)
    for file in files:
        parent, _, name = file.rpartition("/")
        images[parent].append(name)
    above = {str(parent) for name in images for parent in Path(name).parents} | {""}
    return {name: inside for name, inside in images.items() if name not in above}


def _alone(files: Sequence[str], images: dict[str, list[str]]) -> list[str]:
    return [file for file in files if len(images.get(file.rpartition("/")[0], ())) < 2]


def _name(group: str, file: str) -> str:
    return f"{group}/{file}"
