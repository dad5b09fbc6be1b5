"""Bootstrap samples of images."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

RESAMPLES = 400


def resampled_images(images: int, seed: int) -> Float[ndarray, "resamples images"]:
    """Return how often each image is drawn in each bootstrap sample."""
    drawn = np.random.default_rng(seed).integers(images, size=(RESAMPLES, images))
    cells = (drawn + images * np.arange(RESAMPLES)[:, None]).ravel()
    return np.bincount(cells, minlength=drawn.size).reshape(drawn.shape).astype(float)
