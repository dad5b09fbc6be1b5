import numpy as np
import pytest
import torch
from PIL import Image

from uota.transfer.resizing import Resizing, paste_masks, resized_shape


def transform(short, long=1333):
    return Resizing((short,), long, [0.0] * 3, [1.0] * 3)


@pytest.mark.parametrize("size", [(60, 81), (81, 60), (37, 50), (20, 90)])
@pytest.mark.parametrize("short", [16, 100])
def test_images_and_masks_are_resized_as_by_pillow(size, short):
    """Down and up, limited by the short or the long side: bilinear for images, nearest pixel for masks."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (*size, 3), dtype=np.uint8)
    mask = random.integers(0, 2, size, dtype=np.uint8)
    target = {"boxes": torch.tensor([[0.0, 0, size[1], size[0]]]), "masks": torch.from_numpy(mask)[None]}
    image, target = transform(short, 150).train().resize(torch.from_numpy(pixels).permute(2, 0, 1) / 255, target)
    scale = min(short / min(size), 150 / max(size))
    high, wide = (int(side * scale + 0.5) for side in size)
    theirs = np.asarray(Image.fromarray(pixels).resize((wide, high), Image.Resampling.BILINEAR))
    assert np.abs(255 * image.permute(1, 2, 0).numpy() - theirs).max() < 1.01
    of_mask = np.asarray(Image.fromarray(mask).resize((wide, high), Image.Resampling.NEAREST))
    # A centre halfway between pixels may round to either; sampling at corners would change a quarter of the pixels.
    assert np.mean(target["masks"][0].numpy() == of_mask) > 0.97
    torch.testing.assert_close(target["boxes"], torch.tensor([[0.0, 0, wide, high]]))


def test_sides_are_rounded_to_the_nearest_pixel():
    """As by detectron2's ResizeShortestEdge: 427 × 640 pixels become 800 × 1199.06 before rounding."""
    assert resized_shape((427, 640), 800, 1333) == (800, 1199)
    assert resized_shape((333, 500), 800, 1333) == (800, 1201)  # torchvision: 1201 and 799.2 down to 799
    assert resized_shape((333, 600), 800, 1333) == (740, 1333)


def test_predicted_masks_are_interpolated_at_pixel_centres():
    """The mask fills the left half of its box; boxes lie between pixels or exceed the image."""
    masks = torch.zeros(3, 1, 28, 28)
    masks[:, :, :, :14] = 1
    boxes = torch.tensor([[2.0, 3, 10, 9], [2.6, 3.4, 10.2, 8.6], [-4.0, -2, 4, 30]])
    found = paste_masks(masks, boxes, (12, 16))[:, 0]
    for mask, (left, top, right, bottom) in zip(found, boxes.tolist(), strict=True):
        y, x = np.mgrid[:12, :16] + 0.5
        half = (left + right) / 2
        inside = (x >= left) & (x <= half) & (y >= top) & (y <= bottom)
        near = abs(x - half) < 0.01  # a pixel on the mask's edge may go either way
        assert np.array_equal(mask.numpy() | near, inside | near)


def test_detections_are_scaled_back_to_the_original_size():
    found = {"boxes": torch.tensor([[10.0, 20, 30, 40]]), "masks": torch.ones(1, 1, 28, 28)}
    found["keypoints"] = torch.tensor([[[10.0, 40, 1]]])
    (back,) = transform(16).eval().postprocess([found], [(100, 50)], [(50, 25)])
    assert back["boxes"].tolist() == [[5, 10, 15, 20]]
    assert back["keypoints"].tolist() == [[[5, 20, 1]]]
    assert back["masks"][0, 0].nonzero().min(0).values.tolist() == [10, 5]
    assert back["masks"].sum() == 100
