"""Two-dimensional projections of the views' embeddings and of the centres of their images."""

import warnings
from dataclasses import dataclass
from importlib.util import find_spec

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Plane:
    """A projection of embeddings to two dimensions.

    Attributes:
        name: displayed name: PCA with the explained variance, or UMAP with its metric.
        views: coordinates of each view.
        centres: coordinates of the mean of each image's views.
    """

    name: str
    views: Float[Tensor, "views images 2"]
    centres: Float[Tensor, "images 2"]


def planes(embeddings: Float[Tensor, "views images dim"], seed: int = 0) -> list[Plane]:
    """Project to the first two principal components, and with UMAP if it is installed."""
    z = torch.cat([embeddings, embeddings.mean(0, keepdim=True)]).double()
    drawn = [_principal(z)]
    if find_spec("umap"):
        drawn.append(_umap(z, seed))
    return drawn


def _principal(z: Float[Tensor, "rows images dim"]) -> Plane:
    deviations = z - z[:-1].mean((0, 1))
    _, strengths, directions = torch.linalg.svd(deviations[:-1].flatten(0, 1), full_matrices=False)
    explained = float(strengths[:2].square().sum() / strengths.square().sum().clamp_min(1e-300))
    places = deviations @ directions[:2].T
    return Plane(f"PCA, {100 * explained:.0f} % of the variance", places[:-1], places[-1])


def _umap(z: Float[Tensor, "rows images dim"], seed: int) -> Plane:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # from numba, and from UMAP that a seed restricts it to one core
        from umap import UMAP

        places = UMAP(random_state=seed, metric="cosine").fit_transform(z.flatten(0, 1).numpy())
    drawn = torch.from_numpy(places).double().unflatten(0, z.shape[:2])
    return Plane("UMAP, by cosine", drawn[:-1], drawn[-1])
