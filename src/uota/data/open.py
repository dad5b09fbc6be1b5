"""Opens sources by name, folder or pattern. A new kind of source gets its line here."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from uota.data.demo.drawings import NAME as DRAWINGS
from uota.data.demo.drawings import open_drawings, open_drawings_as_groups
from uota.data.demo.embedded import open_demo
from uota.data.demo.fashion_mnist import fashion_mnist_folder, open_fashion_mnist
from uota.data.demo.scenes import SceneOptions, open_scenes
from uota.data.files.copies import CopyOptions, copies_folder
from uota.data.files.decoded import FolderOptions
from uota.data.files.folder import open_folder
from uota.data.files.groups import Groups, open_groups_of_folder
from uota.data.packed.saved import is_saved, open_saved
from uota.data.packed.shards import are_shards, open_shards
from uota.data.source import MinimalSource, Source, Split, as_source
from uota.errors import UotaError
from uota.io.outputs import path_of
from uota.settings.pretrain import IMAGE_MEGABYTES, Pretrain, Reading
from uota.settings.ranges import check_pixel_range
from uota.views import PRESETS
from uota.views.presets import GROUPS

SPLITS: dict[str, Split] = {"train": "train", "test": "test", "all": "all"}
# Sources that have a name of their own, and how they are opened.
NAMES: dict[str, Callable[[Split, SceneOptions], MinimalSource]] = {
    "demo": lambda split, _: open_demo(split),
    "demo-scenes": open_scenes,
    "demo-scenes-colour": lambda split, scenes: open_scenes(split, replace(scenes, tint=True)),
    DRAWINGS: lambda split, _: open_drawings(split),
}
# Those of them that have groups.
GROUPS_BY_NAME: dict[str, Callable[[Split], Groups]] = {DRAWINGS: open_drawings_as_groups}


def open_source(
    name_or_path: str | Path,
    split: str = "train",
    folder: FolderOptions | None = None,
    scenes: SceneOptions | None = None,
) -> Source:
    """Open images by name (`demo`, `demo-scenes`, `demo-drawings`, …), in a folder, or packed in larger files.

    Args:
        name_or_path: a name, any folder of images, or the folder of Fashion-MNIST's original files; a folder with the
            same name as a source is given as ./demo. Tar shards are given by a pattern (`shards-{000..099}.tar`) or
            their folder, and a data set that `datasets` saved by its folder, with the columns if it has several
            (`saved#image=left&label=kind`).
        split: train, test, or all, which ignores splits.
        folder: how image files are read.
        scenes: how demo-scenes are laid out.

    Raises:
        UotaError: there is no such name or folder, or there are no images in it.

    >>> source = open_source("demo", "test")
    >>> len(source), source.images([0])[0].shape, source.classes[int(source.labels[0])]
    (2000, torch.Size([1, 28, 28]), 'T-shirt')
    """
    chosen = _split(split)
    name = _name(name_or_path)
    if name in NAMES:
        return as_source(NAMES[name](chosen, scenes or SceneOptions()))
    if are_shards(name):
        return open_shards(name, chosen, folder)
    if is_saved(name):
        return open_saved(name, chosen, folder)
    path = _folder(name)
    original = fashion_mnist_folder(path)
    return open_fashion_mnist(original, chosen) if original else open_folder(path, chosen, folder)


def open_groups(name_or_path: str | Path, split: str = "train", folder: FolderOptions | None = None) -> Groups:
    """Open groups of images of one thing: `demo-drawings`, or a folder, whose lowest folders are the groups.

    Args:
        name_or_path: the name or the folder.
        split: train, test, or all, which ignores splits.
        folder: how image files are read.

    Raises:
        UotaError: there is no such folder, or it has fewer than two groups.
    """
    name, chosen = _name(name_or_path), _split(split)
    if name in GROUPS_BY_NAME:
        return GROUPS_BY_NAME[name](chosen)
    if name in NAMES or are_shards(name) or is_saved(name):
        raise UotaError(f"{name} has no groups; give a folder with a sub-folder of images for each thing")
    return open_groups_of_folder(_folder(name), chosen, folder)


def _name(name_or_path: str | Path) -> str:
    if not str(name_or_path):
        raise UotaError(f"no images are given; give {', '.join(NAMES)}, a folder, or tar shards")
    return str(name_or_path)


def _folder(name: str) -> Path:
    path = path_of(name)
    if not path.is_dir():
        raise UotaError(_why_not_found(name, path))
    return path


def _split(name: str) -> Split:
    if name not in SPLITS:
        raise UotaError(f"there is no split {name!r}; choose train, test or all")
    return SPLITS[name]


def _why_not_found(name: str, path: Path) -> str:
    if path.exists():
        return f"{name} is a file; give its folder ({path.parent}), or one of {', '.join(NAMES)}"
    return f"there is no folder {name}; give an existing folder, or one of {', '.join(NAMES)}"


def open_items(data: str, views: str, split: str = "train", folder: FolderOptions | None = None) -> Source:
    """Open what a preset makes views of: the images of a source, or the groups of a folder.

    Args:
        data: what `open_source` or `open_groups` takes.
        views: name of the preset, or auto or groups.
        split: train, test, or all, which ignores splits.
        folder: how image files are read.

    Raises:
        UotaError: there is no such source, or it has no images or groups for these views.
    """
    if views == GROUPS or (views in PRESETS and PRESETS[views].across_images):
        return open_groups(data, split, folder)
    return open_source(data, split, folder)


def open_images(data: str, views: str, split: str, folder: FolderOptions | None = None) -> Source:
    """Open the single images that a run with such views is trained on; for groups, the images of all groups."""
    return open_items(data, views, split, folder).files


def folder_options(run: Pretrain | None = None, reading: Reading | None = None) -> FolderOptions:
    """How image files are read: as `reading` says, else as the run did, else by default."""
    reading = reading or Reading()
    pixel_range = reading.pixel_range or (run.data.pixel_range if run else None)
    megabytes = reading.image_megabytes or (run.data.image_megabytes if run else IMAGE_MEGABYTES)
    return FolderOptions(pixel_range=check_pixel_range(pixel_range), image_megabytes=megabytes)


def training_options(run: Pretrain) -> FolderOptions:
    """How a run reads the image files that it trains on: as `folder_options` says, and shrunk if it has a cache.

    Raises:
        UotaError: the cache shall be in memory, and cannot be.
    """
    options = folder_options(run)
    if run.data.cache is None:
        return options
    return replace(options, copies=CopyOptions(run.data.cache, copies_folder(run.data.cache_in)))
