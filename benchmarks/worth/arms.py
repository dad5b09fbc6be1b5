"""What is compared: where the weights of a run come from, and what else is changed instead of weights."""

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

# What an oracle leaves to a wrong view: nothing, but its image keeps its place in the sums.
NOTHING = 1e-6


class Judge(Protocol):
    """Weighs the views of a batch."""

    def __call__(self, embedded: Embedded, views: Views, progress: float) -> Arbitration: ...


@dataclass(frozen=True)
class Arm:
    """A way to train.

    Attributes:
        judge: made for an embedding dimension and a seed.
        both: weights act on both views of a pair.
        preset: changes the views.
        auxiliary: the learned head's contrastive loss is added to the method's, through its encoder.
        candidates: so many times the views are made, and a sampler keeps those that are encoded.
        robust: RINCE's q, for methods with a contrastive loss.
    """

    judge: Callable[[int, int], Judge]
    both: bool = True
    preset: Callable[[ViewPreset], ViewPreset] = lambda preset: preset
    auxiliary: Callable[[int], AuxiliaryContrast] | None = None
    candidates: int = 1
    robust: float | None = None


@dataclass(frozen=True)
class Watched:
    """An arbiter's verdict on what it looks at."""

    at: str
    arbiter: Arbiter

    def __call__(self, embedded: Embedded, views: Views, progress: float) -> Arbitration:
        return self.arbiter(arbiter_input(self.at, embedded), progress)


@dataclass(frozen=True)
class Shuffled:
    """The same weights, given to other views of the same size: their histogram without what they say."""

    judge: Judge

    def __call__(self, embedded: Embedded, views: Views, progress: float) -> Arbitration:
        verdict = self.judge(embedded, views, progress)
        groups = verdict.weights.split([len(group) for group in views.by_size])
        shuffled = [group.flatten()[torch.randperm(group.numel())].view_as(group) for group in groups]
        return replace(verdict, weights=torch.cat(shuffled))


def uniform(embedded: Embedded, views: Views, progress: float) -> Arbitration:
    """No weights."""
    return _weights(torch.ones(embedded.projected.shape[:2]))


def oracle(embedded: Embedded, views: Views, progress: float) -> Arbitration:
    """The truth, where it is known: wrong views are left out."""
    right = torch.ones(embedded.projected.shape[:2]) if views.wrong is None else (~views.wrong).float()
    return _weights(rescaled_to_mean_one(right + NOTHING))


def _weights(weights: Tensor) -> Arbitration:
    return Arbitration(weights, scores=torch.zeros_like(weights))


def learned(at: str) -> Callable[[int, int], Judge]:
    """The learned arbiter on thumbnails, features or embeddings."""
    return lambda dim, seed: Watched(at, Arbiter("learned", seed=seed))


def paper(tau_per_dimension: float = TAU_PER_DIMENSION, start: float = 0.0, anchors: int | None = None) -> Arm:
    """The paper's weights: on the predicting view."""

    def judge(dim: int, seed: int) -> Judge:
        arbiter = Arbiter("mahalanobis", tau=tau_per_dimension * dim, start=start, anchors=anchors)
        return Watched("embeddings", arbiter)

    return Arm(judge, both=False)


def milder(preset: ViewPreset) -> ViewPreset:
    """Local crops of the upper half of the scale they had."""
    *others, local = preset.sizes
    low, high = local.scale
    return replace(preset, sizes=(*others, replace(local, scale=((low + high) / 2, high))))


TAUS = (0.1, 0.3, 1.0, 2.7, 10.0)
QS = (0.01, 0.1, 0.5, 1.0)

ARMS: dict[str, Arm] = {
    "none": Arm(lambda dim, seed: uniform),
    "paper": paper(start=0.5),
    # As the released code has it: centres from the two large views.
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
