"""`arbitrate`, the paper in one call, and `Arbiter`, a score × a strength with what lasts between steps."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from inspect import signature
from math import isfinite
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from uota.arbitration.inputs import check_views, detached_float, finite_total, is_number
from uota.arbitration.result import Arbitration, Scores, Weighing
from uota.arbitration.scores import Contrast, LearnedContrast, Mahalanobis
from uota.arbitration.state import Recall, may_be_repeated, never_compiled, own_modes
from uota.arbitration.strengths import EffectiveSampleSize, Temperature, TwoGroups

ViewTensors = Float[Tensor, "views batch dim"] | Sequence[Float[Tensor, "batch dim"]]
Score = Callable[[Tensor], Scores]
Strength = Callable[[Scores], Weighing]


def mahalanobis(
    tau: float | None = None,
    ess: float | None = None,
    anchors: int | None = None,
    covariance: str = "empirical",
    eps: float = 1e-8,
) -> tuple[Score, Strength]:
    """The paper's pair; with `ess` instead of `tau` the temperature is found."""
    if (tau is None) == (ess is None):
        raise ValueError("give one of tau (the released code: 350 at dimension 128, 2.7 × dimension) and ess")
    strength = Temperature(tau) if tau is not None else EffectiveSampleSize(ess or 0.0)
    return Mahalanobis(anchors, covariance, eps), strength


def two_groups(temperature: float = 0.1) -> tuple[Score, Strength]:
    """Contrast of the embeddings, with estimated outlier probabilities."""
    return Contrast(temperature), TwoGroups()


def learned(temperature: float = 0.1, seed: int = 0) -> tuple[Score, Strength]:
    """Contrast on a head of its own, with estimated outlier probabilities."""
    return LearnedContrast(temperature, seed=seed), TwoGroups()


PRESETS: dict[str, Callable[..., tuple[Score, Strength]]] = {
    "learned": learned,
    "two_groups": two_groups,
    "mahalanobis": mahalanobis,
}


@never_compiled
def arbitrate(
    z: ViewTensors,
    tau: float | None = None,
    anchors: int | None = None,
    covariance: str = "empirical",
    eps: float = 1e-8,
    ess: float | None = None,
) -> Arbitration:
    """Weights of views by the paper's rule (UOTA, NeurIPS 2021, M.9–M.11): one call, no state.

    The mean of the squared distances over the global batch is the dimension D (up to `eps`), so τ means something
    relative to D only. With two views and the all-views centre both views of an image get the same weight. Identical
    embeddings give uniform weights; so, up to rounding, do N(M − 1) ≤ D views unless the covariance is shrunk.

    Args:
        z: embeddings of any float dtype, detached here and computed in float32 (float64 in, float64 out); or a list
            of one tensor (batch, dim) per view. On several ranks: this rank's images, at least one and not
            necessarily as many on each.
        tau: the temperature; or
        ess: the effective sample size in (0, 1] to find it for.
        anchors: centres are means of the first `anchors` views; None: of all.
        covariance: "empirical", "oas" or "ledoit_wolf".
        eps: added to the covariance's diagonal.

    Raises:
        ValueError: no dense tensor of floats, fewer than two views, NaN or infinite entries, no or both of `tau` and
            `ess`.

    Example:
        >>> z = torch.nn.functional.normalize(torch.randn(8, 64, 16), dim=-1)
        >>> result = arbitrate(z, ess=0.9)
        >>> result.weights.shape, round(float(result.weights.mean()), 4), round(result.ess, 4)
        (torch.Size([8, 64]), 1.0, 0.9)
    """
    score, strength = mahalanobis(tau, ess, anchors, covariance, eps)
    x = check_views(z)
    with own_modes(x.device):
        return _verdict(score, strength, _prepared(x)[0])


class Arbiter(nn.Module):
    """Gives every view of every image a weight; one line in any training loop.

        arbiter = Arbiter("learned")
        weights = arbiter(features).weights        # (views, batch), mean 1, no gradient

    Args:
        model: "learned", "two_groups", "mahalanobis", or a pair (score, strength) from `uota.arbitration`.
        start: weights are uniform while `progress` is below this share of training (the paper: 0.5).
        settings: of the preset: `tau` or `ess`, `anchors`, `covariance`, `eps` for "mahalanobis"; `temperature` for the
            others; `seed` for "learned".

    Scores and densities are computed, and the learned head trained, before `start` too. In `eval()` mode nothing
    changes.

    It may be called in inference mode, under autocast and by several threads at once; `half()` and `bfloat16()` leave
    its state in float32. When gradient checkpointing repeats a call in the backward pass, the arbiter learns nothing
    and gives the weights of the first pass again (of the latest 64 calls, the one whose input has the same shape and
    the nearest sum). FullyShardedDataParallel must not shard a learned head: wrap the model before the first call,
    or with `ignored_modules=[arbiter]`.
    """

    def __init__(self, model: str | tuple[Score, Strength] = "learned", *, start: float = 0.0, **settings: Any) -> None:
        super().__init__()
        if not is_number(start) or not 0 <= start <= 1:
            raise ValueError(f"start is {start}; it is a share of training, from 0 to 1")
        if isinstance(model, str):
            self.score, self.strength = _named(model, settings)
        elif settings:
            raise ValueError(
                f"{', '.join(settings)}: settings go with a named arbiter; set them on the score or strength"
            )
        else:
            self.score, self.strength = _checked_pair(model)
        self.start = start
        self._recall = Recall()

    def __call__(self, x: ViewTensors, progress: float | None = None) -> Arbitration:
        return super().__call__(x, progress)

    @never_compiled
    def forward(self, x: ViewTensors, progress: float | None = None) -> Arbitration:
        """Arbitrate a batch.

        Args:
            x: embeddings, or for "learned" any features of a view: any float dtype, detached here and computed in
                float32 (float64 stays, but for the learned head); or a list of one tensor (batch, dim) per view.
            progress: share of training done; needed where `start` is above 0.

        Raises:
            ValueError: no dense tensor of floats, fewer than two views, NaN or infinite entries, or no progress where
                there is a start.

        One image alone, a batch of fewer than three for the two-groups strength, and a collapsed batch get uniform
        weights.
        """
        if progress is not None and (not is_number(progress) or not isfinite(progress)):
            raise ValueError(f"progress is {progress!r}; it is a share of training, from 0 to 1")
        if progress is None and self.start > 0:
            raise ValueError(
                f"weights start after {self.start} of training; say how much is done: arbiter(x, progress=step / steps)"
            )
        x, repeatable = check_views(x), may_be_repeated()
        with own_modes(x.device):
            prepared, total = _prepared(x)
            compute = partial(_verdict, self.score, self.strength, prepared)
            verdict = self._recall(prepared, total, compute, repeatable)
            if progress is not None and progress < self.start:
                return replace(verdict, weights=torch.ones_like(verdict.weights))
            return verdict


def _named(name: str, settings: dict[str, Any]) -> tuple[Score, Strength]:
    if name not in PRESETS:
        raise ValueError(f"there is no arbiter {name!r}; choose one of {', '.join(PRESETS)} (without: call none)")
    known = signature(PRESETS[name]).parameters
    if unknown := settings.keys() - known:
        raise ValueError(f"the arbiter {name!r} has no {min(unknown)}; it has {', '.join(known)}")
    return PRESETS[name](**settings)


def _checked_pair(model: object) -> tuple[Score, Strength]:
    """The pair (score, strength) that an arbiter is made of."""
    if isinstance(model, tuple | list) and len(model) == 2 and all(_is_instance_to_call(part) for part in model):
        score, strength = model
        return score, strength
    raise ValueError(
        f"an arbiter is one of {', '.join(PRESETS)} or a pair (score, strength) such as (Contrast(), TwoGroups()); "
        f"this is {model!r}"
    )


def _is_instance_to_call(part: object) -> bool:
    return callable(part) and not isinstance(part, type)


def _verdict(score: Score, strength: Strength, x: Tensor) -> Arbitration:
    scores = score(x)
    if not isinstance(scores, Scores):
        raise ValueError(
            f"the score {type(score).__name__} returned a {type(scores).__name__}; a score returns "
            "uota.arbitration.Scores, and stands first in the pair (score, strength)"
        )
    weighing = strength(scores)
    return Arbitration(
        weights=weighing.weights,
        scores=scores.observed,
        distances=-scores.observed if isinstance(score, Mahalanobis) else None,
        tau=weighing.tau,
        outlier_probability=weighing.outlier_probability,
        outlier_rate=weighing.outlier_rate,
    )


def _prepared(x: Tensor) -> tuple[Tensor, float]:
    """Views to compute with, and the sum of their entries."""
    x = detached_float(x)
    remedy = "the training has diverged (lower the learning rate) or an image is broken"
    return x, finite_total(x, "entries", remedy)
