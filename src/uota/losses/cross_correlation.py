"""Barlow Twins' loss (Zbontar et al., 2021, equations 1 and 2), its moments weighted."""

import torch
from jaxtyping import Float
from torch import Tensor

from uota.distributed import differentiable_sum, gather_rows
from uota.numerics import at_least_float32

EPSILON = 1e-5  # as batch norm's, which the released code normalises with


def cross_correlation_loss(
    a: Float[Tensor, "batch dim"], b: Float[Tensor, "batch dim"], weights: Float[Tensor, " batch"], off_diagonal: float
) -> Float[Tensor, ""]:
    """Σ (1 - Cᵢᵢ)² + λ Σ Cᵢⱼ², i ≠ j, C being the correlation of `a`'s components with `b`'s over all ranks' batches.

    C itself, dim × dim, is never made: with rows scaled by the root of their share, C = AᵀB, and Σ Cᵢⱼ² is the sum of
    the products of AAᵀ with BBᵀ, entry by entry, which are batch × batch.

    Args:
        a, b: projections of two views of each image.
        weights: of the images in all moments, without gradient; all alike gives the plain correlation.
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
    variance = differentiable_sum((share * x * x).sum(0))  # in this order: what weighs nothing may be large
    return x * (variance + EPSILON).rsqrt()
