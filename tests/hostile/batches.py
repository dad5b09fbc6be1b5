"""Strategies that generate degenerate batches of embeddings."""

import torch
from hypothesis import strategies as st


def plain(z, generator):
    return z


def low_rank(z, generator):
    return z[..., :1] * torch.randn(z.shape[-1], generator=generator)


def duplicates(z, generator):
    return z[:1].expand_as(z).clone()


def all_alike(z, generator):
    return z[:1, :1].expand_as(z).clone()


def one_far_away(z, generator):
    return torch.cat([1e6 * z[:1, :1], z[1:, :1]]).expand_as(z).clone()


def with_zeros(z, generator):
    return z * (torch.rand(z.shape[:2], generator=generator) < 0.5)[..., None]


SHAPES = (plain, plain, plain, low_rank, duplicates, all_alike, one_far_away, with_zeros)
DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


@st.composite
def batches(draw, scales=(-20, 20), shapes=SHAPES, dtypes=DTYPES, views=(2, 5), images=(1, 6), dims=(1, 12)):
    """Draw embeddings of views of a degenerate shape, scale or dtype, and a generator for further random numbers."""
    size = [draw(st.integers(*bounds)) for bounds in (views, images, dims)]
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    z = draw(st.sampled_from(shapes))(torch.randn(size, dtype=torch.float64, generator=generator), generator)
    dtype = draw(st.sampled_from(dtypes))
    lowest, highest = scales if dtype != torch.float16 else (-7, 4)  # the range of float16
    z = z * 10.0 ** draw(st.integers(lowest, highest))
    return z.clamp(*limits(dtype)).to(dtype), generator


def limits(dtype):
    largest = min(torch.finfo(dtype).max, 1e25) / 2
    return -largest, largest
