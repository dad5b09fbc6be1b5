"""Which images were found damaged, so that others stand in for them: fine to train on, but not to say something of."""

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from uota.data.folder import Folder
from uota.data.groups import Groups
from uota.data.packed import Packed
from uota.data.source import Source


def found_unreadable(source: Source, images: Int64[Tensor, "*shape"]) -> Bool[Tensor, "*shape"]:
    """Of images that were asked for, by their indices in the source (of groups: in its files), which cannot be read."""
    files = source.files if isinstance(source, Groups) else source
    if not isinstance(files, Folder | Packed):
        return torch.zeros_like(images, dtype=torch.bool)
    bad = torch.tensor(files.decoded.cache.bad(), dtype=torch.int64)
    return torch.isin(images, bad)
