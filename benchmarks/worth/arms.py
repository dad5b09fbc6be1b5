"""The arms of the comparison: where the weights of a run come from, or what is changed instead."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from benchmarks.worth.auxiliary import AuxiliaryContrast
from uota import Arbiter
from uota.arbitration import Arbitration
from uota.arbitration.result import rescaled_to_mean_one
from uota.methods import Embedded
from uota.training.arbiter_inputs import arbiter_input
from uota.training.setup import TAU_PER_DIMENSION
from uota.views import ViewPreset, Views

# The weight of a wrong view under the oracle: above 0, so that an image with wrong views only stays in the sums.
NOTHING = 1e-6


class Judge(Protocol):
    """Computes the weights of the views in a batch."""

    def __call__(self, embedded: Embedded, views: Views, progress: float) -> Arbitration: ...


@dataclass(frozen=True)
class Arm:
    """A way to train.

    Attributes:
        judge: builds the judge for an embedding dimension and a seed.
        both: whether weights act on both views of a pair.
        preset: changes the preset of views.
        auxiliary: builds a contrastive loss of the learned head that is added to the method's, through its encoder.
        candidates: views that are made for each that is encoded; a sampler chooses among them.
        robust: the q of RINCE, for methods with a contrastive loss.
    """

    judge: Callable[[int, int], Judge]
    both: bool = True
    preset: Callable[[ViewPreset], ViewPreset] = lambda preset: preset
    auxiliary: Callable[[int], AuxiliaryContrast] | None = None
    candidates: int = 1
    robust: float | None = None


@dataclass(frozen=True)
class Watched:
    """An arbiter with its input."""

    at: str
    arbiter: Arbiter

    def __call__(self, embedded: Embedded, views: Views, progress: float) -> Arbitration:
        return self.arbiter(arbiter_input(self.at, embedded), progress)


@dataclass(frozen=True)
class Shuffled:
    """The weights of a judge, permuted among the views of a size: the same histogram without the information."""

    judge: Judge

    def __call__(self, embedded: Embedded, views: Views, progress: float) -> Arbitration:
        verdict = self.judge(embedded, views, progress)
        groups = verdict.weights.split([len(group) for group in views.by_size])
        shuffled = [group.flatten()[torch.randperm(group.numel())].view_as(group) for group in groups]
        return replace(verdict, weights=torch.cat(shuffled))


def uniform(embedded: Embedded, views: Views, progress: float) -> Arbitration:
    """Return uniform weights."""
    return _weights(torch.ones(embedded.projected.shape[:2]))


def oracle(embedded: Embedded, views: Views, progress: float) -> Arbitration:
    """Return weights that leave out the views known to be wrong."""
    right = torch.ones(embedded.projected.shape[:2]) if views.wrong is None else (~views.wrong).float()
    return _weights(rescaled_to_mean_one(right + NOTHING))


def _weights(weights: Tensor) -> Arbitration:
    return Arbitration(weights, scores=torch.zeros_like(weights))


def learned(at: str) -> Callable[[int, int], Judge]:
    """Return the learned arbiter on thumbnails, features, both or embeddings."""
    return lambda dim, seed: Watched(at, Arbiter("learned", seed=seed))


def paper(tau_per_dimension: float = TAU_PER_DIMENSION, start: float = 0.0, anchors: int | None = None) -> Arm:
    """Return the arm of the paper's weights, which act on the predicting view."""

    def judge(dim: int, seed: int) -> Judge:
        arbiter = Arbiter("mahalanobis", tau=tau_per_dimension * dim, start=start, anchors=anchors)
        return Watched("embeddings", arbiter)

    return Arm(judge, both=False)


def milder(preset: ViewPreset) -> ViewPreset:
    """Restrict local crops to the upper half of their scale."""
    *others, local = preset.sizes
    low, high = local.scale
    return replace(preset, sizes=(*others, replace(local, scale=((low + high) / 2, high))))


TAUS = (0.1, 0.3, 1.0, 2.7, 10.0)
QS = (0.01, 0.1, 0.5, 1.0)

ARMS: dict[str, Arm] = {
    "none": Arm(lambda dim, seed: uniform),
    "paper": paper(start=0.5),
    # As in the released code, the centres are those of the two large views.
    "paper-released": paper(start=0.5, anchors=2),
    "learned-thumbnails": Arm(learned("thumbnails")),
    "learned-features": Arm(learned("features")),
    "learned-both": Arm(learned("both")),
    "oracle": Arm(lambda dim, seed: oracle),
    "two_groups": Arm(lambda dim, seed: Watched("embeddings", Arbiter("two_groups"))),
    "learned-embeddings": Arm(learned("embeddings")),
    "ess-0.9": Arm(lambda dim, seed: Watched("embeddings", Arbiter("mahalanobis", ess=0.9)), both=False),
    "sampled": Arm(lambda dim, seed: uniform, candidates=2),
    "sampled-and-weighed": Arm(learned("thumbnails"), candidates=2),
    "shuffled": Arm(lambda dim, seed: Shuffled(learned("features")(dim, seed))),
    "auxiliary": Arm(lambda dim, seed: uniform, auxiliary=AuxiliaryContrast),
    "milder-crops": Arm(lambda dim, seed: uniform, preset=milder),
    **{f"paper-{tau}": paper(tau) for tau in TAUS},
    **{f"rince-{q}": Arm(lambda dim, seed: uniform, robust=q) for q in QS},
}
