"""Two-dimensional maps of the views' embeddings and of the centres of their images."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

# Number of images on a map: half of them the most unusual ones, the others drawn at random.
MAPPED = 240
NEIGHBOURS = 15


@dataclass(frozen=True)
class Plane:
    """A map of embeddings in two dimensions.

    Attributes:
        name: displayed name of the projection.
        axes: titles of the two axes.
        views: coordinates of each view.
        centres: coordinates of the mean of each image's views.
    """

    name: str
    axes: tuple[str, str]
    views: Float[Tensor, "views images 2"]
    centres: Float[Tensor, "images 2"]


def choose_mapped(ranking: Sequence[int], seed: int, images: int = MAPPED) -> list[int]:
    """Choose the images of a map: the first half of them from the head of the ranking, the others at random."""
    worst, others = list(ranking[: images // 2]), np.array(ranking[images // 2 :], dtype=np.int64)
    drawn = np.random.default_rng(seed).permutation(others)[: images - len(worst)]
    return worst + sorted(drawn.tolist())


def planes(embeddings: Float[Tensor, "views images dim"], chosen: Sequence[int], seed: int = 0) -> list[Plane]:
    """Map the chosen images: with UMAP if it is installed, and by the first two principal components of all views.

    Coordinates are deterministic: UMAP runs on one core, with the seed.
    """
    z = torch.cat([embeddings, embeddings.mean(0, keepdim=True)]).detach().cpu().double()
    places = torch.tensor(chosen)
    principal = _principal(z, places)
    return [_umap(z[:, places], seed), principal] if has_umap() else [principal]


def has_umap() -> bool:
    """Whether umap-learn is installed, rather than only the folder of compiled functions that it leaves behind."""
    spec = find_spec("umap")
    return spec is not None and spec.origin is not None


def _principal(z: Float[Tensor, "rows images dim"], places: Tensor) -> Plane:
    deviations = z - z[:-1].mean((0, 1))
    rows = deviations[:-1].flatten(0, 1)
    variances, directions = torch.linalg.eigh(rows.T @ rows)  # ascending
    shares = variances / variances.sum().clamp_min(1e-300)
    mapped = deviations[:, places] @ directions[:, [-1, -2]]
    titles = [f"principal component {n}, {100 * float(shares[-n]):.0f} % of the variance" for n in (1, 2)]
    return Plane("Principal components", (titles[0], titles[1]), mapped[:-1], mapped[-1])


def _umap(z: Float[Tensor, "rows images dim"], seed: int) -> Plane:
    rows = z.flatten(0, 1).numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # from numba, and from UMAP that a seed restricts it to one core
        from umap import UMAP

        neighbours = min(NEIGHBOURS, len(rows) - 1)
        places = UMAP(n_neighbors=neighbours, random_state=seed % 2**32, metric="cosine").fit_transform(rows)
    drawn = torch.from_numpy(places).double().unflatten(0, z.shape[:2])
    return Plane("UMAP", ("UMAP coordinate 1, no unit", "UMAP coordinate 2, no unit"), drawn[:-1], drawn[-1])
