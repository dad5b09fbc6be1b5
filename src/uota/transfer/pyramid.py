"""A feature pyramid over an encoder's feature maps: the backbone of torchvision's detectors."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from uota.errors import UotaError

# Side of the blank image that is passed through an encoder to see the shapes of its maps.
PROBE = 128
# The pyramid uses the last four maps of stride 2 or more: layer1 to layer4 of a ResNet.
FINEST, MOST = 2, 4
# An encoder whose finest level has at least stride 4 is for large images and gets the published 256 channels.
CHANNELS, LARGE = 256, 4
# Side of a level's anchors in multiples of its stride: 32 to 512 pixels for strides of 4 to 64.
ANCHOR = 8
RATIOS = (0.5, 1.0, 2.0)


class Pyramid(nn.Module):
    """Computes maps with equal numbers of channels from images, each map half the size of the previous one.

    Attributes:
        strides: strides of the levels, including the pooled last one.
        levels: names of the levels that boxes are pooled from.
        out_channels: number of channels of every level.

    Args:
        encoder: module with a method `maps`, such as `uota.encoders.encoder.Encoder`.
        channels: number of channels of the images.
        norm: whether the pyramid's convolutions are followed by batch norm.

    Raises:
        UotaError: the encoder does not have maps of several sizes.
    """

    def __init__(self, encoder: Any, channels: int, norm: bool) -> None:
        super().__init__()
        self.encoder = encoder
        maps = _probe(encoder, channels)
        strides = [round(PROBE / each.shape[-1]) for each in maps]
        # Several maps may have the same size: take the deepest.
        last = {stride: place for place, stride in enumerate(strides) if stride >= FINEST}
        chosen = sorted(last)[-MOST:]
        if len(chosen) < 2:
            raise UotaError("this encoder has feature maps of one size only, and a feature pyramid needs several; "
                            "use a ResNet, a ConvNeXt or tiny, not a vision transformer")  # fmt: skip
        self.places = [last[stride] for stride in chosen]
        self.strides = [*chosen, 2 * chosen[-1]]
        self.levels = [str(level) for level in range(len(chosen))]
        self.out_channels = CHANNELS if chosen[0] >= LARGE else min(CHANNELS, encoder.width // 4)
        self.pyramid = FeaturePyramidNetwork(
            [maps[place].shape[1] for place in self.places],
            self.out_channels,
            extra_blocks=LastLevelMaxPool(),
            norm_layer=nn.BatchNorm2d if norm else None,
        )
        _freeze_unused(encoder, [maps[place] for place in self.places])

    def forward(self, images: Float[Tensor, "batch channels height width"]) -> dict[str, Tensor]:
        """Return the maps by the names of their levels."""
        maps = self.encoder.maps(images.contiguous(memory_format=torch.channels_last))
        return self.pyramid({level: maps[place] for level, place in zip(self.levels, self.places, strict=True)})


def _probe(encoder: Any, channels: int) -> list[Tensor]:
    if not hasattr(encoder, "maps"):
        raise UotaError(f"the encoder {type(encoder).__name__} has no method `maps`; add one that returns feature maps")
    training = encoder.training
    try:
        return encoder.eval().maps(torch.zeros(1, channels, PROBE, PROBE))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise UotaError(
            f"this encoder does not take images of any size, as detection requires: {error}; use a ResNet or a ConvNeXt"
        ) from error
    finally:
        encoder.train(training)


def _freeze_unused(encoder: nn.Module, maps: list[Tensor]) -> None:
    """Freeze parameters that no map depends on, such as a head's: DDP would wait for their gradients."""
    parameters = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    gradients = torch.autograd.grad([each.sum() for each in maps], parameters, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.requires_grad_(gradient is not None)
