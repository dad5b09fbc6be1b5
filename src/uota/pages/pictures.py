"""Pictures as data URIs for the page."""

from base64 import b64encode
from io import BytesIO

import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

# Largest side of pictures that are compressed losslessly.
EXACT = 40
QUALITIES = (80, 60, 40, 20)
# Longest sides of pictures on the page in pixels: images, images that there are many of, and views.
IMAGE_SIDE, SMALL_SIDE, VIEW_SIDE = 176, 112, 96


def fitted(image: UInt8[Tensor, "channels height width"], side: int) -> UInt8[Tensor, "channels _h _w"]:
    """Shrink an image so that no side is longer than `side`."""
    height, width = image.shape[-2:]
    scale = side / max(height, width)
    if scale >= 1:
        return image
    size = max(1, round(height * scale)), max(1, round(width * scale))
    return interpolate(image[None].float(), size, mode="bilinear", antialias=True)[0].round().to(torch.uint8)


def data_uri(image: UInt8[Tensor, "channels height width"], quality: int = 80) -> str:
    """Encode an image as WebP in a data URI."""
    pixels = image.permute(1, 2, 0).contiguous().numpy()
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    written = BytesIO()
    exact = max(image.shape[-2:]) <= EXACT
    picture.save(written, "WEBP", lossless=exact, quality=quality, method=4)
    return "data:image/webp;base64," + b64encode(written.getvalue()).decode()


def data_uris(images: list[UInt8[Tensor, "channels _h _w"]], room: int) -> list[str]:
    """Encode images as data URIs in the best quality in which all fit into `room` characters, or else the lowest."""
    made: list[str] = []
    for quality in QUALITIES:
        made = [data_uri(image, quality) for image in images]
        if sum(map(len, made)) <= room:
            break
    return made
