"""Some of a source's images, the same share of each class, chosen by a seed."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from uota.data import Source


def balanced_share(labels: Int64[Tensor, " images"], share: float, seed: int) -> Int64[Tensor, " chosen"]:
    """Indices, ascending, of the same number of images of each class: that share of a class of average size.

    At least one of each; a class that has fewer gives all it has. A larger share holds all images of a smaller one.
    """
    members = [torch.nonzero(labels == label)[:, 0].numpy() for label in labels.unique()]
    count = max(1, round(share * len(labels) / len(members)))
    if share >= 1:
        return torch.arange(len(labels))
    random = np.random.default_rng(seed)
    chosen = [random.permutation(of_class)[:count] for of_class in members]
    return torch.from_numpy(np.sort(np.concatenate(chosen)))


class Part:
    """Some images of a source; itself a source."""

    def __init__(self, whole: Source, index: Int64[Tensor, " chosen"]) -> None:
        self.whole, self.index = whole, index
        self.name, self.channels, self.classes = whole.name, whole.channels, whole.classes
        self.labels = None if whole.labels is None else whole.labels[index]

    @property
    def skipped(self) -> list:
        """Files of the whole source that could not be read so far."""
        return self.whole.skipped

    def __len__(self) -> int:
        return len(self.index)

    def images(self, indices: Sequence[int]) -> list[UInt8[Tensor, "channels _height _width"]]:
        """These images of the part."""
        return self.whole.images(self.index[torch.as_tensor(list(indices), dtype=torch.int64)].tolist())

    def truth(
        self, index: Int64[Tensor, " batch"], boxes: Float[Tensor, "views batch 4"]
    ) -> Bool[Tensor, "views batch"] | None:
        """What the whole source knows of crops of these images."""
        return self.whole.truth(self.index[index], boxes)
