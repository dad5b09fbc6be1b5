"""Resizing of images, targets and detections as in detectron2."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor
from torchvision.models.detection.transform import GeneralizedRCNNTransform, resize_boxes, resize_keypoints
from torchvision.transforms.v2 import functional as images

FILLED = 0.5  # value of a mask from which on a pixel belongs to the object


class Resizing(GeneralizedRCNNTransform):
    """torchvision's normalising and padding, with detectron2's sizes, interpolation and pasting of masks.

    Sides are rounded to the nearest pixel (torchvision: down), images are antialiased, masks are read at pixel centres,
    and predicted masks are interpolated once, at the pixels of the image (torchvision: in a box of whole pixels).
    Sources: detectron2/data/transforms/augmentation_impl.py and detectron2/layers/mask_ops.py.
    """

    def resize(self, image: Tensor, target: dict[str, Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor] | None]:
        """Resize an image and its boxes, masks and keypoints to a size drawn for training, or to that of evaluation."""
        before = image.shape[-2], image.shape[-1]
        short = self.torch_choice(list(self.min_size)) if self.training else self.min_size[-1]
        after = resized(before, short, self.max_size)
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
        """Bring detections back to the images' original sizes; masks become true where a pixel is the object's."""
        found: list[dict[str, Tensor]] = []
        if self.training:  # there is none
            return found
        for each, small, size in zip(result, image_shapes, original_image_sizes, strict=True):
            moved = each | {"boxes": resize_boxes(each["boxes"], small, size)}
            if "masks" in each:
                moved["masks"] = pasted(each["masks"], moved["boxes"], size)
            if "keypoints" in each:
                moved["keypoints"] = resize_keypoints(each["keypoints"], small, size)
            found.append(moved)
        return found


def resized(size: tuple[int, int], short: int, long: int) -> tuple[int, int]:
    """Height and width whose shorter side is `short`, or whose longer side is `long` if it became longer than that.

    >>> resized((480, 640), 800, 1333), resized((300, 1000), 800, 1333)
    ((800, 1067), (400, 1333))
    """
    scale = min(short / min(size), long / max(size))
    return int(size[0] * scale + 0.5), int(size[1] * scale + 0.5)


def pasted(
    masks: Float[Tensor, "objects 1 side side"], boxes: Float[Tensor, "objects 4"], size: tuple[int, int]
) -> Bool[Tensor, "objects 1 height width"]:
    """Paste masks of boxes into images of a size (height, width); true where a mask is at least half."""
    canvas = torch.zeros(len(masks), 1, *size, dtype=torch.bool, device=masks.device)
    for mask, box, where in zip(masks, boxes.tolist(), canvas[:, 0], strict=True):
        left, top, right, bottom = box
        rows, columns = _pixels(top, bottom, size[0]), _pixels(left, right, size[1])
        y, x = (_places(*each, masks) for each in ((rows, top, bottom), (columns, left, right)))
        grid = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], dim=-1)
        values = F.grid_sample(mask[None], grid[None], align_corners=False)[0, 0]
        where[rows.start : rows.stop, columns.start : columns.stop] = values >= FILLED
    return canvas


def _pixels(start: float, end: float, side: int) -> range:
    """Pixels of an image that a box may touch, half a pixel of the mask beyond it included."""
    return range(max(0, int(start) - 1), min(side, int(end) + 2))


def _places(pixels: range, start: float, end: float, like: Tensor) -> Tensor:
    """Centres of pixels from −1 to 1 within a box."""
    centres = torch.arange(pixels.start, pixels.stop, dtype=like.dtype, device=like.device) + 0.5
    return (centres - start) / (end - start) * 2 - 1
