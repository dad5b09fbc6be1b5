"""Noise-contrastive estimation (Gutmann & Hyvärinen, 2010) among all images (Wu et al., 2018; Tian et al., 2020)."""

from jaxtyping import Float
from torch import Tensor

SMALLEST = 1e-7  # added to probabilities, as in the code of both


def nce_terms(
    positive: Float[Tensor, "*rows"], noise: Float[Tensor, "*rows drawn"], images: int
) -> Float[Tensor, "*rows"]:
    """Cross-entropy of telling the positive from so many drawn from the noise, which is uniform over all images.

    Args:
        positive: probability that a model gives to each row's own image.
        noise: probabilities that it gives to the images drawn.
        images: of which is drawn.
    """
    expected = noise.shape[-1] / images  # of the noise, where the model expects `positive`
    own = (1 + (expected + SMALLEST) / positive).log()
    return own + ((noise + expected + SMALLEST) / expected).log().sum(-1)
