"""Features of whole images, computed once and held in memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.utils.data import Dataset

from uota.data import Source, labels_of
from uota.distributed import gather_objects, in_turns, rank
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
    """Compute the encoder's output for every labelled image, in eval mode.

    Several ranks share the images, and the first one gets all features; the others get none.

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
    """Return the pixels of the encoder's input as features, as a baseline."""
    return _features(lambda images: images.flatten(1), source, preset)


def top_k_accuracy(ranking: Int64[Tensor, "images classes"], labels: Int64[Tensor, " images"], k: int) -> float:
    """Return the top-k accuracy in per cent of rankings of the classes (-1: no class)."""
    return 100 * float((ranking[:, :k] == labels[:, None]).any(1).float().mean())


def _features(of: Callable[[Tensor], Tensor], source: Source, preset: ViewPreset) -> Features:
    source = labelled_part(source)
    kept, parts = slice(0 if rank() else None), []
    for part in in_turns(lambda places: of(images_of(source, places, preset)), batches(source)):
        parts.append(check_finite_features(part, source)[kept])
    tell_unreadable(source)
    return Features(torch.cat(parts), labels_of(source)[kept])


def check_finite_features(features: Float[Tensor, "batch dim"], source: Source) -> Float[Tensor, "batch dim"]:
    """Require features with a finite norm, since rankings by other features would look like valid results."""
    broken = int((~torch.isfinite(features.square().sum(1))).sum())
    if broken:
        raise UotaError(
            f"the encoder's features of {broken} of {len(features)} images of {source.name} are NaN, infinite or "
            "enormous, so its training has diverged or its weights are damaged; evaluate another checkpoint"
        )
    return features


def batches(source: Source) -> list[range]:
    """Return the indices of all images, batch by batch."""
    return [range(start, min(start + BATCH, len(source))) for start in range(0, len(source), BATCH)]


def images_of(source: Source, places: range, preset: ViewPreset) -> Float[Tensor, "batch channels height width"]:
    """Return whole images, preprocessed for evaluation."""
    return evaluation_view(source.images(places), preset)


def tell_unreadable(*sources: Source) -> None:
    """Tell every rank which images others could not read, by having it try the same."""
    for files in (source.files for source in sources):
        mine = torch.nonzero(files.unreadable(torch.arange(len(files))))[:, 0].tolist()
        if others := sorted({*gather_objects(mine)} - {*mine}):
            files.images(others)


class WholeImages(Dataset[tuple[Tensor, Tensor]]):
    """Labelled whole images, preprocessed for evaluation a batch at a time."""

    def __init__(self, source: Source, preset: ViewPreset) -> None:
        self.source, self.preset = source, preset

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return a batch of one image."""
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return images (batch, channels, size, size) and labels."""
        assert self.source.labels is not None
        return evaluation_view(self.source.images(indices), self.preset), self.source.labels[list(indices)]
