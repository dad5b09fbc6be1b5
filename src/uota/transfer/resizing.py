"""detectron2's resizing of images, targets and detections."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor
from torchvision.models.detection.transform import GeneralizedRCNNTransform, resize_boxes, resize_keypoints
from torchvision.transforms.v2 import functional as images

MASK_THRESHOLD = 0.5  # smallest predicted value at which a pixel counts as the object's


class Resizing(GeneralizedRCNNTransform):
    """torchvision's normalisation and padding with detectron2's sizes, interpolation and pasting of masks.

    Sides are rounded to the nearest pixel (torchvision: down), images are antialiased, target masks are sampled at
    pixel centres, and predicted masks are interpolated once, at the pixels of the image (torchvision: within a box of
    whole pixels). Sources: detectron2/data/transforms/augmentation_impl.py and detectron2/layers/mask_ops.py.
    """

    def resize(self, image: Tensor, target: dict[str, Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor] | None]:
        """Resize an image and its boxes, masks and keypoints to a random training size, or to the evaluation size."""
        before = image.shape[-2], image.shape[-1]
        short = self.torch_choice(list(self.min_size)) if self.training else self.min_size[-1]
        after = resized_shape(before, short, self.max_size)
        image = images.resize(image, list(after), images.InterpolationMode.BILINEAR, antialias=True)
        if target is None:
            return image, None
        target["boxes"] = resize_boxes(target["boxes"], list(before), list(after))
        if "masks" in target:
            target["masks"] = F.interpolate(target["masks"][None], after, mode="nearest-exact")[0]
        if "keypoints" in target:
            target["keypoints"] = resize_keypoints(target["keypoints"], list(before), list(after))
        return image, target

    def postprocess(self, result: list[dict[str, Tensor]], image_shapes: Any, original_image_sizes: Any) -> Any:
        """Scale detections back to the images' original sizes; masks become boolean."""
        found: list[dict[str, Tensor]] = []
        if self.training:  # no detections to scale
            return found
        for each, small, size in zip(result, image_shapes, original_image_sizes, strict=True):
            moved = each | {"boxes": resize_boxes(each["boxes"], small, size)}
            if "masks" in each:
                moved["masks"] = paste_masks(each["masks"], moved["boxes"], size)
            if "keypoints" in each:
                moved["keypoints"] = resize_keypoints(each["keypoints"], small, size)
            found.append(moved)
        return found


def resized_shape(size: tuple[int, int], short: int, long: int) -> tuple[int, int]:
    """Return height and width scaled so that the short side is `short`, or the long side `long` if it would exceed it.

    >>> resized_shape((480, 640), 800, 1333), resized_shape((300, 1000), 800, 1333)
    ((800, 1067), (400, 1333))
    """
    scale = min(short / min(size), long / max(size))
    return int(size[0] * scale + 0.5), int(size[1] * scale + 0.5)


def paste_masks(
    masks: Float[Tensor, "objects 1 side side"], boxes: Float[Tensor, "objects 4"], size: tuple[int, int]
) -> Bool[Tensor, "objects 1 height width"]:
    """Paste masks, given relative to their boxes, into images of this (height, width), and threshold them at 1/2."""
    canvas = torch.zeros(len(masks), 1, *size, dtype=torch.bool, device=masks.device)
    for mask, box, where in zip(masks, boxes.tolist(), canvas[:, 0], strict=True):
        left, top, right, bottom = box
        rows, columns = _touched_pixels(top, bottom, size[0]), _touched_pixels(left, right, size[1])
        y, x = (_relative_centres(*each, masks) for each in ((rows, top, bottom), (columns, left, right)))
        grid = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], dim=-1)
        values = F.grid_sample(mask[None], grid[None], align_corners=False)[0, 0]
        where[rows.start : rows.stop, columns.start : columns.stop] = values >= MASK_THRESHOLD
    return canvas


def _touched_pixels(start: float, end: float, side: int) -> range:
    """Return the pixels that a box may touch, including half a mask pixel beyond its border."""
    return range(max(0, int(start) - 1), min(side, int(end) + 2))


def _relative_centres(pixels: range, start: float, end: float, like: Tensor) -> Tensor:
    """Return the centres of pixels relative to a box, whose sides are at −1 and 1."""
    centres = torch.arange(pixels.start, pixels.stop, dtype=like.dtype, device=like.device) + 0.5
    return (centres - start) / (end - start) * 2 - 1
