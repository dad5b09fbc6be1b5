"""The CIE L*a*b* colour space, and separate encoders for lightness and colour (CMC, Tian et al. 2020)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from uota.encoders.encoder import Encoder
from uota.errors import UotaError
from uota.numerics import at_least_float32, constant
from uota.views.presets import IMAGENET_MEAN, IMAGENET_STD

# Linear sRGB to CIE XYZ under D65, each row divided by the X, Y or Z of that white point (IEC 61966-2-1).
TO_XYZ = (
    (0.412453 / 0.95047, 0.357580 / 0.95047, 0.180423 / 0.95047),
    (0.212671, 0.715160, 0.072169),
    (0.019334 / 1.08883, 0.119193 / 1.08883, 0.950227 / 1.08883),
)
# Smallest and largest L, a and b of any sRGB colour, which are scaled to -1 and 1 as in CMC's code.
LEAST, GREATEST = (0.0, -86.183, -107.857), (100.0, 98.233, 94.478)


def rgb_to_lab(images: Float[Tensor, "*rest 3 height width"]) -> Float[Tensor, "*rest 3 height width"]:
    """Convert sRGB in [0, 1] to L (0 to 100), a and b."""
    images = at_least_float32(images)
    linear = torch.where(images > 0.04045, ((images + 0.055) / 1.055).clamp_min(0) ** 2.4, images / 12.92)
    xyz = torch.einsum("xc,...chw->...xhw", constant(TO_XYZ, linear), linear)
    x, y, z = torch.where(xyz > 216 / 24389, xyz.clamp_min(1e-6) ** (1 / 3), xyz * 841 / 108 + 4 / 29).unbind(-3)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=-3)


class LabEncoder(nn.Module):
    """Two encoders with the same backbone, one for lightness and one for colour, whose features are concatenated.

    Args:
        name: name of the backbone, as for `Encoder`.
        channels: number of channels, 3; images are normalised with ImageNet's statistics.
        image_size: side of the largest view, in pixels.
    """

    def __init__(self, name: str = "tiny", channels: int = 3, image_size: int = 224) -> None:
        super().__init__()
        if channels != 3:
            raise UotaError(
                "cmc contrasts lightness with colour, but these images are grey; give colour images "
                "(for the demo: --data demo-scenes-colour)"
            )
        self.lightness, self.colour = Encoder(name, 1, image_size), Encoder(name, 2, image_size)
        self.width = self.lightness.width + self.colour.width

    def forward(self, images: Float[Tensor, "rows 3 height width"]) -> Float[Tensor, "rows features"]:
        return self.with_early_map(images)[0]

    def with_early_map(
        self, images: Float[Tensor, "rows 3 height width"]
    ) -> tuple[Float[Tensor, "rows features"], Float[Tensor, "rows early h w"]]:
        """Return the concatenated features, lightness first, and the concatenated early maps."""
        lightness, colours = _halves(images)
        halves = (self.lightness.with_early_map(lightness), self.colour.with_early_map(colours))
        (light, light_map), (colour, colour_map) = halves
        return torch.cat([light, colour], dim=1), torch.cat([light_map, colour_map], dim=1)

    def maps(self, images: Float[Tensor, "rows 3 height width"]) -> list[Float[Tensor, "rows _ _ _"]]:
        """Return the concatenated feature maps after all stages, the finest first."""
        lightness, colours = _halves(images)
        pairs = zip(self.lightness.maps(lightness), self.colour.maps(colours), strict=True)
        return [torch.cat(pair, dim=1) for pair in pairs]


def _halves(
    images: Float[Tensor, "rows 3 height width"],
) -> tuple[Float[Tensor, "rows 1 height width"], Float[Tensor, "rows 2 height width"]]:
    """Split normalised images into lightness and colour, each from -1 to 1."""
    mean, std = (constant(each, images)[:, None, None] for each in (IMAGENET_MEAN, IMAGENET_STD))
    lab = rgb_to_lab((images * std + mean).clamp(0, 1))
    least, greatest = (constant(ends, lab)[:, None, None] for ends in (LEAST, GREATEST))
    lab = (2 * (lab - least) / (greatest - least) - 1).to(images.dtype)
    return lab[:, :1], lab[:, 1:]
