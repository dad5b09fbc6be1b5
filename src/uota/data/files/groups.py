"""Groups: several images of one thing, such as the photographs of a product or the frames of a clip."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from uota.console import printable, some_of
from uota.data.files.decoded import FolderOptions
from uota.data.files.folder import find_readable
from uota.data.files.left_out import LeftOut
from uota.data.files.listing import Listing, classes_of, list_split
from uota.data.files.pixels import PixelRange
from uota.data.source import Source, Split, describe_skipped, warn_many_unreadable
from uota.errors import UotaError

logger = logging.getLogger(__name__)

REMEDY = "give a folder with a sub-folder for each thing, and in each at least two images of it"


class Groups:
    """A source whose items are groups: a view of an item shows one of its images.

    `len`, `labels` and the index of a sample are of groups; the indices of `images`, and those that view parameters
    name, are of `files`.

    Attributes:
        files: the images of all groups.
        members: indices in `files` of each group's images.
        alone: folders with a single image, and images beside folders of images; relative to the source's folder.
    """

    def __init__(self, files: Source, members: Sequence[Sequence[int]], alone: Sequence[str] = ()) -> None:
        """Group the images of a source; a group has the label of its first image."""
        self.files, self.members, self.alone = files, members, list(alone)
        self.name, self.channels, self.classes = files.name, files.channels, files.classes
        first = torch.tensor([group[0] for group in members])
        self.labels: Int64[Tensor, " len"] | None = None if files.labels is None else files.labels[first]

    @property
    def skipped(self) -> list[Path]:
        """Files that could not be read so far."""
        return self.files.skipped

    @property
    def reasons(self) -> dict[Path, str]:
        """Why files cannot be read, as far as it is known."""
        return getattr(self.files, "reasons", {})

    @property
    def pixel_range(self) -> PixelRange | None:
        """Values of black and white; None where no image has more than 8 bits."""
        return getattr(self.files, "pixel_range", None)

    def __len__(self) -> int:
        """Number of groups."""
        return len(self.members)

    def images(self, indices: Sequence[int]) -> list[UInt8[Tensor, "channels _height _width"]]:
        """These images of `files`."""
        return self.files.images(indices)

    def truth(
        self, index: Int64[Tensor, " batch"], boxes: Float[Tensor, "views batch 4"]
    ) -> Bool[Tensor, "views batch"] | None:
        """None: which images are filed wrong is not known."""
        return None


def open_groups_of_folder(folder: Path, split: Split | None, options: FolderOptions | None = None) -> Groups:
    """The groups of a split of a folder; None: all of them.

    Each lowest folder is a group. Those with a single image, and images that lie beside folders, are left out. Labels
    are the first-level sub-folders where the groups lie deeper, and splits those of `open_folder`, of whole groups.

    Raises:
        UotaError: there are no images that can be read, or fewer than two groups.
    """
    options = options or FolderOptions()
    found = find_readable(folder, options)
    images = _by_folder(found.files)
    groups = sorted(name for name, files in images.items() if len(files) > 1)
    if len(groups) < 2:
        raise UotaError(f"{folder} has {len(groups)} sub-folder(s) of two or more images, two are needed: {REMEDY}.")
    listing = list_split(folder, groups, split, of="groups") if split else Listing(folder, groups, classes_of(groups))
    above = listing.root.relative_to(folder)
    members = [[_name(name, file) for file in images[(above / name).as_posix()]] for name in listing.files]
    sizes = [len(group) for group in members]
    files = Listing(listing.root, [file for group in members for file in group], listing.classes, listing.left_out)
    substitute_group = np.repeat(np.arange(len(sizes)), sizes)
    ranges = [range(start, end) for start, end in pairwise(np.cumsum([0, *sizes]).tolist())]
    return Groups(found.folder(files, substitute_group), ranges, _alone(found.files, images))


def warn_left_out(*sources: Source, at_most: int = 5) -> None:
    """Print what of sources is not used and why, once what holds for all; loudly, where much of one is unreadable."""
    said = (sentence for source in sources for sentence in _left_out(source, at_most))
    for sentence in dict.fromkeys(said):
        logger.info(sentence)
    for source in {describe_skipped(source): source for source in sources}.values():
        files = source.files if isinstance(source, Groups) else source
        total = getattr(files, "total", len(files))
        warn_many_unreadable(source, len(getattr(source, "reasons", {})), total)  # as far as opening looked


def _left_out(source: Source, at_most: int) -> Iterator[str]:
    alone = source.alone if isinstance(source, Groups) else []
    if alone:
        named = some_of([printable(name) for name in alone], at_most)
        of = printable(source.name)
        yield f"{len(alone)} image(s) of {of} are alone or beside folders, and left out: {named}"
    files = source.files if isinstance(source, Groups) else source
    for sentence in getattr(files, "left_out", LeftOut()).sentences():
        yield f"{printable(source.name)}: {sentence}"


def _by_folder(files: Sequence[str]) -> dict[str, list[str]]:
    """Names of the images in each lowest folder."""
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
