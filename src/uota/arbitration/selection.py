"""Selection of an arbiter by injection: exchange some views on purpose, and see which candidate finds them.

No labels are needed. What blurs the comparison are views that are wrong already; those that most candidates suspect are
left out of it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from uota.arbitration.projection import fit_projection
from uota.arbitration.result import Scores
from uota.arbitration.scores import Contrast, LearnedContrast, ScoreInBatches
from uota.arbitration.strengths import TwoGroups
from uota.numerics import seed_of

Features = Mapping[str, Float[Tensor, "views images _"]]
Embed = Callable[[Features], Float[Tensor, "views images dim"]]
Score = Callable[[Tensor], Scores]

# Images that are compared with each other at once.
BATCH = 128
# Share of the views that are exchanged, and how often that is repeated with other views.
SHARE, REPEATS = 0.1, 2
# Fewest images of which one half can train and the other be scored.
MIN_IMAGES = 6


@dataclass(frozen=True)
class Candidate:
    """A way to score views by their features.

    Attributes:
        name: name to show to people.
        parts: kinds of features that it needs.
        fit: fits what embeds features to those of some images, given a seed.
        score: score of the embeddings.
        steps: training steps of its head; 0: it learns nothing.
    """

    name: str
    parts: tuple[str, ...]
    fit: Callable[[Features, int], Embed]
    score: Score
    steps: int = 0

    @property
    def learns(self) -> bool:
        """Whether it learns which views belong together, so that it must not be fitted to the images that it scores."""
        return self.steps > 0


@dataclass(frozen=True)
class Fitted:
    """A candidate that is fitted to images.

    Attributes:
        candidate: the candidate.
        embed: embeds the features of images of the first and of the second half, each fitted to the other half; twice
            the same if the candidate does not learn.
    """

    candidate: Candidate
    embed: tuple[Embed, Embed]


@dataclass(frozen=True)
class Selection:
    """The candidate that finds injected views best.

    Attributes:
        best: the candidate.
        found: average precision of each candidate in finding the injected views, by name, the best first.
    """

    best: Candidate
    found: dict[str, float]


def frozen(parts: Sequence[str], score: Score, steps: int = 0) -> Candidate:
    """Return the candidate that scores frozen features of some depths, after `steps` of training a head on them."""
    what = f"contrast at temperature {score.temperature:g}" if isinstance(score, Contrast) else "cohort score"
    name = f"{what} of {' + '.join(parts)}" + (f", head trained for {steps} steps" if steps else "")

    def fit(features: Features, seed: int) -> Embed:
        projection = fit_projection([features[part] for part in parts], steps, seed)
        return lambda features: projection([features[part] for part in parts])

    return Candidate(name, tuple(parts), fit, score, steps)


def learned(part: str, steps: int, temperature: float = 0.1) -> Candidate:
    """Return the candidate whose head is trained from scratch on one kind of features, as an `Arbiter("learned")`."""

    def fit(features: Features, seed: int) -> Embed:
        score, generator = LearnedContrast(temperature, seed=seed), torch.Generator().manual_seed(seed)
        images = features[part].shape[1]
        for _ in range(steps):
            score(features[part][:, torch.randperm(images, generator=generator)[:BATCH]])
        return lambda features: score.embed(features[part])

    name = f"contrast of a head trained on {part} for {steps} steps"
    return Candidate(name, (part,), fit, Contrast(temperature), steps)


def select(
    candidates: Sequence[Candidate],
    features: Features,
    seed: int = 0,
    kept: Bool[Tensor, "views images"] | None = None,
    repeats: int = REPEATS,
) -> Selection:
    """Choose the candidate that finds exchanged views best, by average precision.

    Args:
        candidates: the candidates; of equal ones the first is taken.
        features: features of the views of some images, by kind.
        seed: seed of the exchanged views, the halves and the heads.
        kept: views that most candidates do not suspect; None: as `unsuspected` finds them.
        repeats: how often views are exchanged; with the same seed, the first exchanges are the same.

    Raises:
        ValueError: there are fewer than `MIN_IMAGES` images.
    """
    images = next(iter(features.values())).shape[1]
    if images < MIN_IMAGES:
        raise ValueError(f"{images} images are too few to choose by injection; give at least {MIN_IMAGES}")
    kept = unsuspected(candidates, features, seed) if kept is None else kept
    exchanges = (exchange(features, SHARE, seed_of(seed, repeat)) for repeat in range(repeats))
    trials = (
        ([score_all(each, exchanged, seed).observed for each in candidates], injected)
        for exchanged, injected in exchanges
    )
    mean = precision_by_injection(kept, trials)
    order = mean.argsort(descending=True, stable=True).tolist()
    return Selection(candidates[order[0]], {candidates[place].name: float(mean[place]) for place in order})


def unsuspected(candidates: Sequence[Candidate], features: Features, seed: int) -> Bool[Tensor, "views images"]:
    """Mark the views of which at most half of the candidates hold that they are outliers."""
    return not_suspected(torch.stack([_suspects(score_all(each, features, seed)) for each in candidates]))


def not_suspected(suspected: Bool[Tensor, "candidates ..."]) -> Bool[Tensor, "..."]:
    """Mark what at most half of the candidates suspect."""
    return suspected.double().mean(0) <= 0.5


def fit_by_halves(candidate: Candidate, features: Features, first: Bool[Tensor, " images"], seed: int) -> Fitted:
    """Fit a candidate to each half of the images, for the other half; one that does not learn is fitted to all."""
    if not candidate.learns:
        embed = candidate.fit(features, seed)
        return Fitted(candidate, (embed, embed))
    other, own = (candidate.fit(_of_images(features, half), seed) for half in (~first, first))
    return Fitted(candidate, (other, own))


def score_all(candidate: Candidate, features: Features, seed: int) -> Scores:
    """Fit a candidate by halves and score all views with it, in batches of about `BATCH` images."""
    images = next(iter(features.values())).shape[1]
    first = random_half(images, seed)
    fitted = fit_by_halves(candidate, features, first, seed)
    z = torch.stack([embed(features) for embed in dict.fromkeys(fitted.embed)])
    if len(z) == 1:
        return _in_batches(candidate.score, z[0])
    halves = [_in_batches(candidate.score, each[:, half]) for each, half in zip(z, (first, ~first), strict=True)]
    order = torch.cat([first.nonzero()[:, 0], (~first).nonzero()[:, 0]]).argsort()

    def nulls() -> tuple[Tensor, Tensor]:
        strangers, residents = zip(*(half.nulls() for half in halves if half.nulls), strict=True)
        return torch.cat(strangers, 1), torch.cat(residents, 1)

    known = nulls if all(half.nulls for half in halves) else None
    return Scores(torch.cat([half.observed for half in halves], 1)[:, order], known, halves[0].position)


def random_half(images: int, seed: int) -> Bool[Tensor, " images"]:
    """Mark a random half of the images."""
    order = torch.randperm(images, generator=torch.Generator().manual_seed(seed))
    return order < images // 2


def exchange(features: Features, share: float, seed: int) -> tuple[dict[str, Tensor], Bool[Tensor, "views images"]]:
    """Exchange the views of randomly chosen images, within each place among an image's views.

    Returns:
        The features, and which of them are another image's.
    """
    views, images = next(iter(features.values())).shape[:2]
    order = torch.rand(views, images, generator=torch.Generator().manual_seed(seed)).argsort(1)
    chosen = order[:, : max(2, round(share * images))]
    source = torch.arange(images).repeat(views, 1).scatter_(1, chosen, chosen.roll(1, 1))
    injected = torch.zeros(views, images, dtype=torch.bool).scatter_(1, chosen, True)
    return {name: _taken(each, source) for name, each in features.items()}, injected


def precision_by_injection(
    kept: Bool[Tensor, "..."], trials: Iterable[tuple[Iterable[Tensor], Tensor]]
) -> Float[Tensor, " candidates"]:
    """Return the mean average precision of each candidate in finding what was injected.

    Args:
        kept: what is not suspected before anything is injected; the rest is left out.
        trials: for each injection, the candidates' scores, and which of them are of injected ones.
    """
    figures = [
        [average_precision(-each[kept | injected], injected[kept | injected]) for each in scores]
        for scores, injected in trials
    ]
    return torch.tensor(figures, dtype=torch.float64).mean(0)


def average_precision(suspicion: Float[Tensor, " n"], positive: Bool[Tensor, " n"]) -> float:
    """Mean, over the positives, of the precision down to each in the order of falling suspicion."""
    hits = positive[suspicion.argsort(descending=True, stable=True)].double()
    precision = hits.cumsum(0) / torch.arange(1, len(hits) + 1, dtype=torch.float64)
    return float((precision * hits).sum() / hits.sum().clamp_min(1))


def _taken(x: Float[Tensor, "views images dim"], source: Int64[Tensor, "views images"]) -> Tensor:
    return x[torch.arange(len(x))[:, None], source]


def _of_images(features: Features, images: Tensor) -> dict[str, Tensor]:
    return {name: each[:, images] for name, each in features.items()}


def _in_batches(score: Score, z: Float[Tensor, "views images dim"]) -> Scores:
    return ScoreInBatches(score, max(1, round(z.shape[1] / BATCH)))(z)


def _suspects(scores: Scores) -> Bool[Tensor, "views images"]:
    probability = TwoGroups().eval()(scores).outlier_probability
    return torch.zeros_like(scores.observed, dtype=torch.bool) if probability is None else probability > 0.5
