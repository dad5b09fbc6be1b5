"""Images of a COCO folder and their targets, in the form that torchvision's detectors take."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.utils.data import Dataset

from uota.console import printable, some_of
from uota.data.files.cache import Cache
from uota.data.files.decode import UnreadableError, read_image
from uota.data.files.decoded import FolderOptions
from uota.data.files.patience import patiently
from uota.errors import UotaError
from uota.settings.transfer import Task
from uota.transfer.annotations import Annotations
from uota.transfer.objects import clip_box
from uota.views.pipeline import Sample

Target = dict[str, Tensor]


class CocoImages(Dataset[Any]):
    """The images of one part; which ones proved unreadable is shared by all worker processes.

    Args:
        annotations: the part's annotations, which list the images.
        channels: 1 (grey) or 3 (RGB).
        options: pixel range and size limit of images; None: the defaults.
    """

    def __init__(self, annotations: Annotations, channels: int, options: FolderOptions | None = None) -> None:
        self.annotations, self.channels = annotations, channels
        self.options = options or FolderOptions()
        self.unreadable = Cache(len(annotations.images))

    def __len__(self) -> int:
        return len(self.annotations.images)

    def __getitem__(self, index: int) -> tuple[int, UInt8[Tensor, "channels height width"] | None]:
        """Read an image; returns its index and the image, or None if it is unreadable or not of the listed size."""
        row = self.annotations.images[index]
        if self.unreadable.is_bad(index):
            return index, None
        try:
            image = self._read(self.annotations.folder / row["file_name"])
        except UnreadableError:
            image = torch.empty(self.channels, 0, 0, dtype=torch.uint8)
        if image.shape[1:] == (row["height"], row["width"]):
            return index, image
        self.unreadable.mark_bad(index)
        return index, None

    def _read(self, path: Path) -> UInt8[Tensor, "channels height width"]:
        o = self.options
        return patiently(
            lambda: read_image(path, self.channels, pixel_range=o.pixel_range, megabytes=o.image_megabytes), path
        )

    def mark_unreadable(self, indices: list[int]) -> None:
        """Record images that other processes could not read."""
        for index in indices:
            self.unreadable.mark_bad(index)

    @property
    def skipped(self) -> str | None:
        """A message that names the images skipped so far; None if there are none."""
        names = [printable(self.annotations.images[index]["file_name"]) for index in self.unreadable.bad()]
        if not names:
            return None
        count = f"{len(names)} image(s) of {printable(self.annotations.folder)}"
        return f"{count} could not be read or differ in size from the annotations, and were skipped: {some_of(names)}"


class TrainingImages(Dataset[Any]):
    """Training images with their targets, each mirrored with probability 1/2.

    As in detectron2, images without an object other than crowds are left out; for keypoints, images without a
    labelled keypoint.

    Args:
        images: images of the training part.
        task: decides whether targets have masks or keypoints.
        seed: seed of the mirroring.
        pixel_centre: offset added to the coordinates of keypoints, which COCO gives as pixel indices.

    Raises:
        UotaError: no image has an object to train on.
    """

    def __init__(self, images: CocoImages, task: Task, seed: int, pixel_centre: float = 0.0) -> None:
        self.images, self.task, self.seed, self.pixel_centre = images, task, seed, pixel_centre
        objects = images.annotations.objects
        self.useful = [index for index in range(len(objects)) if _has_targets(objects[index], task)]
        if not self.useful:
            raise UotaError(
                f"{images.annotations.file} has no image with objects for {task} other than crowds; "
                "training needs at least one"
            )
        self.labels = {row["id"]: label for label, row in enumerate(images.annotations.categories, 1)}
        self.mirrored = mirrored_keypoints(images.annotations.keypoints)

    def __len__(self) -> int:
        return len(self.useful)

    def __getitem__(self, sample: Sample) -> tuple[UInt8[Tensor, "channels height width"], Target]:
        """Return an image and its target; an unreadable image is replaced by the next readable one."""
        epoch, place = sample
        for candidate in self._candidates(place):
            index, image = self.images[candidate]
            if image is not None:
                target = self.target(index)
                flip = np.random.default_rng((self.seed, epoch, place)).random() < 0.5
                return mirror(image, target, self.mirrored) if flip else (image, target)
        raise UotaError(
            f"none of the images in {self.images.annotations.folder} can be read; check that the folder is still there"
        )

    def _candidates(self, place: int) -> Iterator[int]:
        return (self.useful[(place + step) % len(self)] for step in range(len(self)))

    def target(self, index: int) -> Target:
        """Return the target of an image, not mirrored."""
        annotations = self.images.annotations
        row = annotations.images[index]
        size = row["height"], row["width"]
        objects = [each for each in annotations.objects[index] if not each["iscrowd"]]
        target = {
            "boxes": torch.tensor([clip_box(each["bbox"], size) for each in objects], dtype=torch.float32),
            "labels": torch.tensor([self.labels[each["category_id"]] for each in objects]),
        }
        if self.task == "segmentation":
            target["masks"] = torch.stack([rasterise(each["segmentation"], size) for each in objects])
        if self.task == "keypoints":
            points = torch.tensor([each["keypoints"] for each in objects], dtype=torch.float32)
            target["keypoints"] = points.view(len(objects), -1, 3)
            target["keypoints"][..., :2] += self.pixel_centre
        return target


def _has_targets(objects: list[dict[str, Any]], task: Task) -> bool:
    single = [each for each in objects if not each["iscrowd"]]
    return any(each["num_keypoints"] for each in single) if task == "keypoints" else bool(single)


def rasterise(mask: Any, size: tuple[int, int]) -> UInt8[Tensor, "height width"]:
    """Convert COCO's polygons or run lengths to a mask of pixels."""
    from pycocotools import mask as coco

    lengths = coco.frPyObjects(mask, *size) if isinstance(mask, list) or isinstance(mask["counts"], list) else mask
    merged = coco.merge(lengths) if isinstance(lengths, list) else lengths
    return torch.from_numpy(coco.decode(merged))


def mirrored_keypoints(names: list[str]) -> list[int]:
    """Return for each keypoint the index of its mirror image: names with left and right are swapped if both exist."""
    swapped = {"left": "right", "right": "left"}
    place = {name: number for number, name in enumerate(names)}

    def partner(name: str) -> str:
        side = next((side for side in swapped if side in name), None)
        return name.replace(side, swapped[side], 1) if side else name

    return [place.get(partner(name), place[name]) for name in names]


def mirror(
    image: UInt8[Tensor, "channels height width"], target: Target, keypoints: Sequence[int]
) -> tuple[UInt8[Tensor, "channels height width"], Target]:
    """Mirror an image and its target left to right; `keypoints` is the result of `mirrored_keypoints`."""
    width = image.shape[-1]
    left, top, right, bottom = target["boxes"].unbind(1)
    new = target | {"boxes": torch.stack([width - right, top, width - left, bottom], dim=1)}
    if "masks" in target:
        new["masks"] = target["masks"].flip(-1)
    if "keypoints" in target:
        points = target["keypoints"][:, list(keypoints)].clone()
        points[..., 0] = torch.where(points[..., 2] > 0, width - points[..., 0], points[..., 0])
        new["keypoints"] = points
    return image.flip(-1), new


def to_floats(image: UInt8[Tensor, "channels height width"]) -> Float[Tensor, "channels height width"]:
    """Scale pixels to [0, 1], the range that torchvision's detectors expect."""
    return image.float() / 255
