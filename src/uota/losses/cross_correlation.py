"""Barlow Twins' loss (Zbontar et al., 2021, equations 1 and 2) with weighted moments."""

import torch
from jaxtyping import Float
from torch import Tensor

from uota.distributed import differentiable_sum, gather_rows
from uota.numerics import at_least_float32

EPSILON = 1e-5  # that of batch norm, by which the released code normalises


def cross_correlation_loss(
    a: Float[Tensor, "batch dim"], b: Float[Tensor, "batch dim"], weights: Float[Tensor, " batch"], off_diagonal: float
) -> Float[Tensor, ""]:
    """Σ (1 - Cᵢᵢ)² + λ Σ Cᵢⱼ², i ≠ j, where C correlates the components of `a` and `b` over the batches of all ranks.

    C itself, of dim × dim, is not computed: with rows scaled by the root of their share, C = AᵀB, and Σ Cᵢⱼ² is the sum
    of the elementwise product of AAᵀ and BBᵀ, which are batch × batch.

    Args:
        a, b: projections of two views of each image.
        weights: of the images in all moments, without gradient; equal ones give the plain correlation.
        off_diagonal: λ.
    """
    share = weights[:, None] / differentiable_sum(weights.sum()).clamp_min(1e-12)
    a, b = (_standardised(at_least_float32(x), share) for x in (a, b))
    diagonal = differentiable_sum((share * a * b).sum(0))
    rows_a, rows_b = gather_rows(share.sqrt() * torch.cat([a, b], dim=-1)).rows.chunk(2, dim=-1)
    squares = ((rows_a @ rows_a.T) * (rows_b @ rows_b.T)).sum()
    return (1 - diagonal).square().sum() + off_diagonal * (squares - diagonal.square().sum())


def _standardised(x: Tensor, share: Tensor) -> Tensor:
    x = x - differentiable_sum((share * x).sum(0))
    variance = differentiable_sum((share * x * x).sum(0))  # share first: values of weight 0 may be large
    return x * (variance + EPSILON).rsqrt()
