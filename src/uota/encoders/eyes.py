"""Frozen features: what a pretrained encoder sees of a view, at several depths."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate

from uota.encoders.encoder import Encoder, images_of

# Sides of views in pixels below which encoders of large images see little; smaller views are enlarged to it.
LEAST_SIDE = 64
# Where features are taken: the encoder's output, the mean of its last feature map, and the mean of the one before.
DEPTHS = ("output", "last", "before")
# Pixels that a processor encodes at once: 16 views of 96 pixels, whose feature maps fit into its cache. Views of 96
# pixels then take half as long as 512 at once.
CHUNK = 16 * 96**2
Features = dict[str, Float[Tensor, "views batch dim"]]


class FrozenFeatures(nn.Module):
    """Features of views by an encoder that is not trained, at each of `DEPTHS`.

    The encoder is no submodule: it stays in eval mode, is not saved with the state, as it can be loaded again from
    where it came from, and DistributedDataParallel ignores it. It follows the module to its device.

    Args:
        encoder: the encoder.
        mean, std: statistics of the pixels that it was trained on, one value per channel.
        view_mean, view_std: statistics that the views were normalised with, one value per channel. The channel of grey
            views is repeated for an encoder of colour images.
    """

    encoder: Encoder
    scale: Tensor
    shift: Tensor

    def __init__(
        self,
        encoder: Encoder,
        mean: Sequence[float],
        std: Sequence[float],
        view_mean: Sequence[float],
        view_std: Sequence[float],
    ) -> None:
        super().__init__()
        object.__setattr__(self, "encoder", encoder.eval().requires_grad_(False).to(memory_format=torch.channels_last))
        own_mean, own_std, their_mean, their_std = (
            torch.tensor(values, dtype=torch.float64)[:, None, None] for values in (mean, std, view_mean, view_std)
        )
        self.register_buffer("scale", (their_std / own_std).float(), persistent=False)
        self.register_buffer("shift", ((their_mean - own_mean) / own_std).float(), persistent=False)

    @torch.no_grad()
    def forward(self, by_size: list[Float[Tensor, "_ batch channels _ _"]]) -> Features:
        """Compute the features of all views; those of different sizes pass the encoder one after the other."""
        parts = [
            [part.unflatten(0, views.shape[:2]) for part in self._in_chunks(images_of(views))] for views in by_size
        ]
        return {name: torch.cat(each) for name, each in zip(DEPTHS, zip(*parts, strict=True), strict=True)}

    def _in_chunks(self, views: Float[Tensor, "rows _ height width"]) -> list[Float[Tensor, "rows dim"]]:
        if views.is_cuda:
            return self._depths(views)
        height, width = (max(side, LEAST_SIDE) for side in views.shape[-2:])
        chunks = [self._depths(chunk) for chunk in views.split(max(1, CHUNK // (height * width)))]
        return [torch.cat(each) for each in zip(*chunks, strict=True)]

    def _depths(self, views: Float[Tensor, "rows _ height width"]) -> list[Float[Tensor, "rows dim"]]:
        encoder = self.encoder
        images = _enlarged(views.float() * self.scale + self.shift, encoder)
        stages = [encoder.stages - 2, encoder.stages - 1]
        final, maps = encoder.backbone.forward_intermediates(images, indices=stages)
        output = encoder.backbone.forward_head(final, pre_logits=True)
        return [output.float(), maps[1].float().mean((2, 3)), maps[0].float().mean((2, 3))]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "FrozenFeatures":
        self.encoder._apply(fn)
        super()._apply(fn, recurse)
        return self


def _enlarged(images: Float[Tensor, "rows channels _ _"], encoder: Encoder) -> Float[Tensor, "rows channels _ _"]:
    """Resize images to sides that the encoder takes, and not below `LEAST_SIDE`."""
    published = getattr(encoder.backbone, "pretrained_cfg", None) or {}
    patch = getattr(getattr(encoder.backbone, "patch_embed", None), "patch_size", (1, 1))
    if published.get("fixed_input_size", False) and not getattr(encoder.backbone, "dynamic_img_size", False):
        size = tuple(published["input_size"][-2:])
    else:
        larger = max(1.0, LEAST_SIDE / min(images.shape[-2:]))
        size = tuple(
            max(1, round(larger * side / each)) * each for side, each in zip(images.shape[-2:], patch, strict=True)
        )
    if size == tuple(images.shape[-2:]):
        return images
    return interpolate(images, size, mode="bilinear", antialias=True)
