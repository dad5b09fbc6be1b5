"""What a run says of the shrunk copies that it trains on, and what it refuses."""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from uota.console import printable
from uota.data import Folder, PackedSource, Source
from uota.data.files.copies import IN_MEMORY, RESERVE, ShrunkCopies, copies_folder
from uota.data.files.pixel_range import spread_indices
from uota.data.places import places_of
from uota.errors import UotaError
from uota.io.outputs import check_writable_folder, path_of
from uota.settings.pretrain import Pretrain
from uota.views import ViewPreset

logger = logging.getLogger(__name__)

# Images whose copies tell how large all of them will be.
SAMPLE = 16


def check_cache(settings: Pretrain, source: Source, preset: ViewPreset, out: Path) -> None:
    """Require images that can have shrunk copies, and copies of enough pixels for views, if the settings ask for some.

    Args:
        settings: of the run.
        source: its images.
        preset: of its views.
        out: its folder.

    Raises:
        UotaError: the images are in memory, the folder cannot be written to or is within those of the images or of the
            run, or every crop would be enlarged.
    """
    side = settings.data.cache
    if side is None:
        return
    if copies_of(source) is None:
        raise UotaError(f"cache is set, and the images of {printable(source.name)} are in memory; leave it out")
    folder = copies_folder(settings.data.cache_in)
    for place, whose in (*((each, "images") for each in places_of(settings.data.source)), (out, "run")):
        if folder.resolve().is_relative_to(place.resolve()):
            raise UotaError(
                f"cache_in is {printable(folder)}, which is within the folder of the {whose}, where copies would count "
                "as its own files; choose a folder elsewhere"
            )
    check_writable_folder(folder)
    needed = preset.sizes[0].image_side(preset.sizes[0].scale[1])
    if side < needed:
        raise UotaError(
            f"cache is {side}, and even the largest crops need images of {needed} pixels; set it to {needed} or more"
        )


def located_cache(cache_in: str | None) -> str | None:
    """The setting `cache_in`, valid in every working directory."""
    return cache_in if cache_in in (None, IN_MEMORY) else str(path_of(cache_in).absolute())


def copies_of(source: Source) -> ShrunkCopies | None:
    """The shrunk copies of a source's images; None if it has none."""
    files = source.files
    return files.decoded.copies if isinstance(files, Folder | PackedSource) else None


def say_copies(source: Source, preset: ViewPreset) -> None:
    """Say where the shrunk copies are, how large, and which crops have fewer pixels than they would have without."""
    copies = copies_of(source)
    if copies is None:
        return
    folder, side = copies.options.folder, copies.options.side
    size = estimated_bytes(source, copies)
    free = max(0, shutil.disk_usage(folder).free - RESERVE) if folder.exists() else size
    room = f"; {free / 1e9:.1f} GB are free there, and the rest is made again each time" if free < size else ""
    logger.info(
        f"images are read shrunk to a short side of {side} pixels, from copies in {printable(folder)}: "
        f"about {size / 1e9:.1f} GB once all are made{room}"
    )
    needed = max(each.image_side(each.scale[0]) for each in preset.sizes)
    if side < needed:
        logger.info(
            f"the smallest crops of the shrunk images have fewer pixels than their views; cache {needed} has enough"
        )


def estimated_bytes(source: Source, copies: ShrunkCopies) -> int:
    """Estimate the size of all copies from some images, whose copies are made."""
    places = spread_indices(len(source.files), SAMPLE)
    source.files.images(places)
    return round(copies.bytes_of(places) * len(source.files) / len(places))


def say_tally(source: Source, devices: int) -> None:
    """Say how many copies this process, one for each device, found and made, and how many could not be kept."""
    copies = copies_of(source)
    if copies is None:
        return
    tally = copies.tally()
    lost = f"; {tally.not_kept} could not be kept: make room in {printable(copies.options.folder)}"
    by = f" by the first of {devices} processes" if devices > 1 else ""
    logger.info(f"shrunk copies: {tally.found} found, {tally.made} made{by}{lost if tally.not_kept else ''}")


@contextmanager
def removing_memory(settings: Pretrain) -> Iterator[None]:
    """Remove the copies that are in memory at the end; others who use them make them again."""
    in_memory = settings.data.cache is not None and settings.data.cache_in == IN_MEMORY
    folder = copies_folder(IN_MEMORY) if in_memory else None
    try:
        yield
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
