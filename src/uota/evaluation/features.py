"""Features of whole images, computed once and kept."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.utils.data import Dataset

from uota.data import Source, labels_of
from uota.errors import UotaError
from uota.evaluation.labels import labelled_part
from uota.views import ViewPreset, evaluation_view

BATCH = 256
TOP = 5  # ranks of top-5


@dataclass(frozen=True)
class Features:
    """Features of the labelled images of a source, float32 on the CPU."""

    x: Float[Tensor, "images dim"]
    labels: Int64[Tensor, " images"]


def encoder_features(encoder: nn.Module, source: Source, preset: ViewPreset) -> Features:
    """The encoder's output for every labelled image, in eval mode.

    Raises:
        UotaError: no image has a label, or the features are not finite.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    encoder.to(device).eval()

    @torch.no_grad()
    def encoded(images: Tensor) -> Tensor:
        return encoder(images.to(device).contiguous(memory_format=torch.channels_last)).float().cpu()

    return _features(encoded, source, preset)


def pixel_features(source: Source, preset: ViewPreset) -> Features:
    """The pixels that an encoder would see, as a baseline."""
    return _features(lambda images: images.flatten(1), source, preset)


def top_k_accuracy(ranking: Int64[Tensor, "images classes"], labels: Int64[Tensor, " images"], k: int) -> float:
    """Share of images, in per cent, whose label is among the first k of their ranking of classes (-1: no class)."""
    return 100 * float((ranking[:, :k] == labels[:, None]).any(1).float().mean())


def _features(of: Callable[[Tensor], Tensor], source: Source, preset: ViewPreset) -> Features:
    source = labelled_part(source)
    return Features(torch.cat([_finite(of(images), source) for images in batches(source, preset)]), labels_of(source))


def _finite(features: Float[Tensor, "batch dim"], source: Source) -> Float[Tensor, "batch dim"]:
    """These features; rankings by features that are not finite, or have no finite length, would look like results."""
    broken = int((~torch.isfinite(features.square().sum(1))).sum())
    if broken:
        raise UotaError(
            f"the encoder gives NaN, infinite or enormous features for {broken} of {len(features)} images of "
            f"{source.name}: its training has diverged, or its weights are damaged; evaluate another checkpoint"
        )
    return features


def batches(source: Source, preset: ViewPreset) -> Iterator[Float[Tensor, "batch channels height width"]]:
    """Whole images as an encoder is evaluated on them, in their order."""
    for start in range(0, len(source), BATCH):
        yield evaluation_view(source.images(range(start, min(start + BATCH, len(source)))), preset)


class WholeImages(Dataset[tuple[Tensor, Tensor]]):
    """Labelled images as an encoder is evaluated on them, in batches made at once."""

    def __init__(self, source: Source, preset: ViewPreset) -> None:
        self.source, self.preset = source, preset

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """A batch of one."""
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Images (batch, channels, size, size), and labels."""
        assert self.source.labels is not None
        return evaluation_view(self.source.images(indices), self.preset), self.source.labels[list(indices)]
