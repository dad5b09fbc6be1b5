"""Noise-contrastive estimation (Gutmann & Hyvärinen, 2010) among all images (Wu et al., 2018; Tian et al., 2020)."""

from jaxtyping import Float
from torch import Tensor

SMALLEST = 1e-7  # added to probabilities, as in the released code of both papers


def nce_terms(
    positive: Float[Tensor, "*rows"], noise: Float[Tensor, "*rows drawn"], images: int
) -> Float[Tensor, "*rows"]:
    """Cross-entropy of distinguishing the positive from noise, images drawn uniformly from all.

    Args:
        positive: probability that the model assigns to each row's own image.
        noise: probabilities that it assigns to the images drawn.
        images: number of images that were drawn from.
    """
    expected = noise.shape[-1] / images  # number drawn, times the density of the noise
    own = (1 + (expected + SMALLEST) / positive).log()
    return own + ((noise + expected + SMALLEST) / expected).log().sum(-1)
