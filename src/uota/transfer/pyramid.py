"""An encoder's feature maps as a feature pyramid: the backbone that torchvision's detectors ask for."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from uota.errors import UotaError

# Side of the image of nothing by which an encoder is asked for its maps.
PROBE = 128
# Coarser maps than one in two; the four last ones, of a ResNet those of layer1 to layer4.
FINEST, MOST = 2, 4
# Channels as published for encoders of large images, whose first level is no finer than this; others have fewer.
CHANNELS, LARGE = 256, 4
# Side of a level's anchors, in its strides: 32 to 512 pixels on strides of 4 to 64.
ANCHOR = 8
RATIOS = (0.5, 1.0, 2.0)
POOLED = "pool"  # torchvision's name for the level that is pooled from the last


class Pyramid(nn.Module):
    """Images to maps of one width, each half the size of the one before.

    Attributes:
        strides: of the levels, the pooled last one too.
        levels: names of those that boxes are pooled from.
        out_channels: of every level.

    Args:
        encoder: has `maps`, such as `uota.encoders.encoder.Encoder`.
        channels: of the images.
        norm: put batch norm behind the pyramid's own convolutions.

    Raises:
        UotaError: the encoder has no maps of several sizes.
    """

    def __init__(self, encoder: Any, channels: int, norm: bool) -> None:
        super().__init__()
        self.encoder = encoder
        maps = _probe(encoder, channels)
        strides = [round(PROBE / each.shape[-1]) for each in maps]
        # Of several maps of a size the deepest.
        last = {stride: place for place, stride in enumerate(strides) if stride >= FINEST}
        chosen = sorted(last)[-MOST:]
        if len(chosen) < 2:
            raise UotaError("this encoder has feature maps of one size only, and a feature pyramid needs several; "
                            "use a ResNet, a ConvNeXt, tiny …, not a vision transformer")  # fmt: skip
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
        """Maps by the names of their levels."""
        maps = self.encoder.maps(images.contiguous(memory_format=torch.channels_last))
        return self.pyramid({level: maps[place] for level, place in zip(self.levels, self.places, strict=True)})


def _probe(encoder: Any, channels: int) -> list[Tensor]:
    if not hasattr(encoder, "maps"):
        raise UotaError(f"the encoder {type(encoder).__name__} has no function `maps`, which gives its feature maps")
    training = encoder.training
    try:
        return encoder.eval().maps(torch.zeros(1, channels, PROBE, PROBE))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise UotaError(
            f"this encoder does not take images of any size, as detection needs: {error}; use a ResNet, a ConvNeXt …"
        ) from error
    finally:
        encoder.train(training)


def _freeze_unused(encoder: nn.Module, maps: list[Tensor]) -> None:
    """Parameters behind the last map, such as a head's, get no gradient, which several processes would wait for."""
    parameters = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    gradients = torch.autograd.grad([each.sum() for each in maps], parameters, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.requires_grad_(gradient is not None)
