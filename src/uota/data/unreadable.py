"""Which images were found damaged, so that others stand in for them: fine to train on, but not to say something of."""

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from uota.data.files.cache import Cache
from uota.data.files.folder import Folder
from uota.data.files.groups import Groups
from uota.data.packed.source import PackedSource
from uota.data.source import Source


def found_unreadable(source: Source, images: Int64[Tensor, "*shape"]) -> Bool[Tensor, "*shape"]:
    """Of images that were asked for, by their indices in the source (of groups: in its files), which cannot be read."""
    cache = _cache_of(source)
    if cache is None:
        return torch.zeros_like(images, dtype=torch.bool)
    return torch.isin(images, torch.tensor(cache.bad(), dtype=torch.int64))


def unreadable_so_far(source: Source) -> tuple[int, int]:
    """How many images could not be read since the source was opened, and how many were tried."""
    cache = _cache_of(source)
    return (0, 0) if cache is None else cache.bad_and_read()


def _cache_of(source: Source) -> Cache | None:
    files = source.files if isinstance(source, Groups) else source
    return files.decoded.cache if isinstance(files, Folder | PackedSource) else None
