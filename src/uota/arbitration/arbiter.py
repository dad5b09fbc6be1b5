"""`arbitrate`, the UOTA paper's weights as a function, and `Arbiter`, a score and a strength that keep their state."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from inspect import signature
from math import isfinite
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from uota.arbitration.inputs import check_views, detached_float, is_number, require_finite
from uota.arbitration.result import Arbitration, Scores, Weighing
from uota.arbitration.scores import CohortScore, Contrast, LearnedContrast, Mahalanobis
from uota.arbitration.scores.contrast import DOUBT
from uota.arbitration.state import Compiled, Lock, Recall, in_backward, may_be_repeated, never_compiled, own_modes
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
    """Return the paper's pair; given `ess` instead of `tau`, the temperature is found in every call."""
    if (tau is None) == (ess is None):
        raise ValueError("give one of tau (the released code: 350 at dimension 128, 2.7 × dimension) and ess")
    strength = Temperature(tau) if tau is not None else EffectiveSampleSize(ess or 0.0)
    return Mahalanobis(anchors, covariance, eps), strength


def two_groups(temperature: float = 0.1) -> tuple[Score, Strength]:
    """Return the contrast of the embeddings, with estimated outlier probabilities."""
    return Contrast(temperature), TwoGroups()


def cohort(doubt: float = DOUBT) -> tuple[Score, Strength]:
    """Return the cohort score, for the features of a pretrained encoder, with estimated outlier probabilities."""
    return CohortScore(doubt), TwoGroups()


def learned(temperature: float = 0.1, seed: int = 0) -> tuple[Score, Strength]:
    """Return the contrast on a small learned head, with estimated outlier probabilities."""
    return LearnedContrast(temperature, seed=seed), TwoGroups()


PRESETS: dict[str, Callable[..., tuple[Score, Strength]]] = {
    "learned": learned,
    "cohort": cohort,
    "two_groups": two_groups,
    "mahalanobis": mahalanobis,
}


@never_compiled("arbitration decides on values; compile what is around it")
def arbitrate(
    z: ViewTensors,
    tau: float | None = None,
    anchors: int | None = None,
    covariance: str = "empirical",
    eps: float = 1e-8,
    ess: float | None = None,
) -> Arbitration:
    """Compute the weights of Wang et al. (NeurIPS 2021), section 3, equations 9 to 11, without keeping any state.

    The mean of the squared distances over the global batch is the dimension D (up to `eps`), so τ is meaningful only
    relative to D. With two views and the mean of all views as centre, both views of an image get the same weight.
    Identical embeddings give uniform weights; so, up to rounding, do N(M − 1) ≤ D views unless the covariance is
    shrunk.

    Args:
        z: embeddings of any float dtype, or a list of one tensor (batch, dim) per view. They are detached, and the
            computation is in float32 (in float64 for float64). On several ranks: this rank's images, at least one;
            ranks may hold different numbers of them.
        tau: temperature; give either this or `ess`.
        anchors: the centre of an image is the mean of its first `anchors` views; None: of all.
        covariance: "empirical", "oas" or "ledoit_wolf".
        eps: added to the diagonal of the covariance.
        ess: effective sample size in (0, 1] for which the temperature is found.

    Raises:
        ValueError: `z` is not a dense tensor of floats, has fewer than two views or has NaN or infinite entries, or
            neither or both of `tau` and `ess` are given.

    Example:
        >>> z = torch.nn.functional.normalize(torch.randn(8, 64, 16), dim=-1)
        >>> result = arbitrate(z, ess=0.9)
        >>> result.weights.shape, round(float(result.weights.mean()), 4), round(result.ess, 4)
        (torch.Size([8, 64]), 1.0, 0.9)
    """
    score, strength = mahalanobis(tau, ess, anchors, covariance, eps)
    x = check_views(z)
    with own_modes(x.device):
        return _verdict(score, strength, _prepared(x, check_finite=True)[0])


class Arbiter(nn.Module):
    """Module that gives every view of every image a weight; one line in any training loop.

        arbiter = Arbiter("learned")
        weights = arbiter(features).weights        # (views, batch), mean 1, no gradient

    Args:
        model: "learned", "cohort", "two_groups", "mahalanobis", or a pair (score, strength) from `uota.arbitration`.
        start: weights are uniform while `progress` is below this share of training (0.5 in the paper).
        settings: options of the named arbiter: `tau` or `ess`, `anchors`, `covariance` and `eps` for "mahalanobis";
            `doubt` for "cohort"; `temperature` for the others; `seed` for "learned".

    Before `start`, too, scores and densities are computed and the learned head is trained. In `eval()` mode the state
    does not change.

    The arbiter may be called in inference mode, under autocast and from several threads; `half()` and `bfloat16()`
    leave its state in float32. When gradient checkpointing repeats a call in the backward pass, the state does not
    change and the weights of the forward pass are returned (those of the call, among the latest 64, whose input has
    the same shape and the nearest sum). FullyShardedDataParallel must not shard a learned head: wrap the model before
    the first call, or with `ignored_modules=[arbiter]`.
    """

    def __init__(self, model: str | tuple[Score, Strength] = "learned", *, start: float = 0.0, **settings: Any) -> None:
        super().__init__()
        if not is_number(start) or not 0 <= start <= 1:
            raise ValueError(f"start is {start}; it is a share of training, from 0 to 1")
        if isinstance(model, str):
            self.score, self.strength = _named(model, settings)
        elif settings:
            raise ValueError(
                f"settings {', '.join(settings)} are for a named arbiter, and this is a pair; set them on its members"
            )
        else:
            self.score, self.strength = _checked_pair(model)
        self.start = start
        self._recall, self._lock = Recall(), Lock()
        self._compiled: Compiled | None = None

    def compile(self, **options: Any) -> None:
        """Compile what computes scores and weights, on one process, and a learned head's loss; in place.

        The rest of a call stays outside: the checks of its input, what isolates it from the caller's modes, and the
        step of the learned head's optimiser.

        Args:
            options: of `torch.compile`.
        """
        self._compiled = Compiled(_verdict, options)
        if isinstance(self.score, LearnedContrast):
            self.score.compile(**options)

    def __call__(self, x: ViewTensors, progress: float | None = None, *, check_finite: bool = True) -> Arbitration:
        return super().__call__(x, progress, check_finite=check_finite)

    @never_compiled("an arbiter decides on values and learns in each call; compile what is around it")
    def forward(self, x: ViewTensors, progress: float | None = None, *, check_finite: bool = True) -> Arbitration:
        """Weigh the views of a batch.

        A single image, a collapsed batch and, for the two-groups strength, a batch of fewer than three images get
        uniform weights.

        Args:
            x: embeddings, or for "learned" any features of a view, of any float dtype; or a list of one tensor
                (batch, dim) per view. They are detached, and the computation is in float32 (in float64 for float64,
                except for the learned head).
            progress: share of training that is done; required if `start` is above 0.
            check_finite: require finite entries. This is all that a call waits for the device for; a training that
                checks its loss can leave it out, and then gets NaN where entries are.

        Raises:
            ValueError: `x` is not a dense tensor of floats, has fewer than two views or has NaN or infinite entries,
                or `progress` is missing although `start` is above 0.
        """
        if progress is not None and (not is_number(progress) or not isfinite(progress)):
            raise ValueError(f"progress is {progress!r}; it is a share of training, from 0 to 1")
        if progress is None and self.start > 0:
            raise ValueError(f"start is {self.start}, and progress is missing; call arbiter(x, progress=step / steps)")
        x, repeatable = check_views(x), may_be_repeated()
        with own_modes(x.device):
            prepared, total = _prepared(x, check_finite)
            verdict = self._recall(prepared, total, partial(self._compute, prepared), repeatable)
            if progress is not None and progress < self.start:
                return replace(verdict, weights=torch.ones_like(verdict.weights))
            return verdict

    def _compute(self, x: Tensor) -> Arbitration:
        if self._compiled is None or in_backward():
            return _verdict(self.score, self.strength, x)
        with self._lock:
            if isinstance(self.strength, TwoGroups):
                self.strength.ready()
            if isinstance(self.score, LearnedContrast):
                return self._compiled(self.score.judge, self.strength, self.score.compare(x))
            return self._compiled(self.score, self.strength, x)


def _named(name: str, settings: dict[str, Any]) -> tuple[Score, Strength]:
    if name not in PRESETS:
        raise ValueError(f"there is no arbiter {name!r}; choose one of {', '.join(PRESETS)}")
    known = signature(PRESETS[name]).parameters
    if unknown := settings.keys() - known:
        raise ValueError(f"the arbiter {name!r} has no {min(unknown)}; it has {', '.join(known)}")
    return PRESETS[name](**settings)


def _checked_pair(model: object) -> tuple[Score, Strength]:
    """Return a pair (score, strength) that was given in place of a name, after checking it."""
    if isinstance(model, tuple | list) and len(model) == 2 and all(_is_instance_to_call(part) for part in model):
        score, strength = model
        return score, strength
    raise ValueError(
        f"an arbiter is one of {', '.join(PRESETS)} or a pair (score, strength) such as (Contrast(), TwoGroups()); "
        f"this is {model!r}"
    )


def _is_instance_to_call(part: object) -> bool:
    return callable(part) and not isinstance(part, type)


def _verdict(score: Callable[[Any], Scores], strength: Strength, x: Any) -> Arbitration:
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


def _prepared(x: Tensor, check_finite: bool) -> tuple[Tensor, Tensor]:
    """Return the views in the dtype of the computation, and the sum of their entries."""
    x = detached_float(x)
    total = x.sum()
    if check_finite:
        remedy = "the training has diverged (lower the learning rate) or an image is broken (leave it out)"
        require_finite(x, total, "entries", remedy)
    return x, total
