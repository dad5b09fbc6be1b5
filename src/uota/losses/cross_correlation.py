"""Barlow Twins' loss (Zbontar et al., 2021, equations 1 and 2), its moments weighted."""

import torch
from jaxtyping import Float
from torch import Tensor

from uota.collectives import differentiable_sum
from uota.precision import at_least_float32

EPSILON = 1e-5  # as batch norm's, which the released code normalises with


def cross_correlation(
    a: Float[Tensor, "batch dim"], b: Float[Tensor, "batch dim"], weights: Float[Tensor, " batch"]
) -> Float[Tensor, "dim dim"]:
    """Correlation of every component of `a` with every one of `b`, over the batches of all ranks.

    Args:
        a, b: projections of two views of each image.
        weights: of the images in all moments, without gradient; all alike gives the plain correlation.
    """
    total = differentiable_sum(weights.sum()).clamp_min(1e-12)
    a, b = (_standardised(at_least_float32(x), weights[:, None] / total) for x in (a, b))
    return differentiable_sum((a * (weights / total)[:, None]).T @ b)


def barlow_loss(correlation: Float[Tensor, "dim dim"], off_diagonal: float) -> Float[Tensor, ""]:
    """Σ (1 - Cᵢᵢ)² + λ Σ Cᵢⱼ², i ≠ j."""
    diagonal = torch.diagonal(correlation)
    invariance = (1 - diagonal).square().sum()
    return invariance + off_diagonal * (correlation.square().sum() - diagonal.square().sum())


def _standardised(x: Tensor, share: Tensor) -> Tensor:
    x = x - differentiable_sum((share * x).sum(0))
    variance = differentiable_sum((share * x.square()).sum(0))
    return x * (variance + EPSILON).rsqrt()
