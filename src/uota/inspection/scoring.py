"""Scoring of all views of an inspection, by every arbiter, in one pass over the images."""

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from uota.arbitration import Arbiter, Arbitration, Scores
from uota.arbitration.strengths.two_groups import counts_by_image, weigh_by_densities
from uota.console import track_progress
from uota.errors import UotaError
from uota.inspection.analysis.share import share_of_counts
from uota.inspection.arbiters import ArbiterSet, Judge, Seen
from uota.inspection.input import MIN_ITEMS, InspectionInput
from uota.inspection.table import FLAT, ViewTable
from uota.training.setup import TAU_PER_DIMENSION
from uota.views import ViewParameters, ViewPreset, Views

# Images whose distances are measured with one covariance: enough for the estimate, and few enough for the memory.
COVARIANCE_IMAGES = 4096
# Views of an image that must show something for those that do not to be left out of its centre.
MIN_VIEWS = 3


@dataclass
class _Scored:
    """Scores by one judge, batch by batch, and the counts of each image's scores."""

    observed: list[Float[Tensor, "views batch"]] = field(default_factory=list)
    counts: list[Float[Tensor, "batch 3 bins"]] = field(default_factory=list)
    position: Any = None

    def add(self, scores: Scores, counted: Bool[Tensor, "views batch"]) -> None:
        self.observed.append(scores.observed.cpu())
        self.position = scores.position
        self.counts.append(counts_by_image(scores, counted.to(scores.observed.device)).float().cpu())

    def verdict(self) -> Arbitration:
        observed = torch.cat(self.observed, 1)
        total = torch.cat(self.counts).sum(0, dtype=torch.float64)
        weighing = weigh_by_densities(total / total.sum(1, keepdim=True).clamp_min(1), self._scores(observed))
        rate = None if weighing.outlier_rate is None else float(weighing.outlier_rate)
        return Arbitration(weighing.weights, observed, None, None, weighing.outlier_probability, rate)

    def _scores(self, observed: Tensor) -> Scores:
        return Scores(observed, None, self.position)


def score_views(subject: InspectionInput, arbiters: ArbiterSet, bar: bool = True) -> ViewTable:
    """Make views of all images and score them with every arbiter.

    Images are scored against some `BATCH` others at a time; all scores of an arbiter form one distribution. Views that
    show nothing do not count in it.

    Args:
        subject: images, and the pipeline of their views.
        arbiters: arbiters that score the views.
        bar: show a progress bar.

    Raises:
        UotaError: too few of the images can be read.
    """
    scored = {name: _Scored() for name in arbiters.judges}
    seen, embeddings, empty = [], [], []
    batches = subject.batches(by_halves=arbiters.by_halves)
    bars = track_progress(batches, "scoring views", bar)
    for half, views in subject.readable_batches(bars):
        empty.append(_shows_nothing(views, subject.preset))
        features = _extract(arbiters, views)
        for name, judge in arbiters.judges.items():
            scored[name].add(_scores(judge, judge.embed(features[name], half), empty[-1]), ~empty[-1])
        embeddings.append(arbiters.embed(features[next(iter(features))], half).half().cpu())
        views.by_size = []  # free the pixels, which are no longer needed
        seen.append(views)
    if sum(views.batch for views in seen) < MIN_ITEMS:
        raise UotaError(
            f"fewer than {MIN_ITEMS} images of {subject.source.name} can be read; check whether the others are damaged"
        )
    return _table(subject, arbiters, scored, seen, torch.cat(embeddings, 1), torch.cat(empty, 1))


def _scores(judge: Judge, z: Float[Tensor, "views batch dim"], empty: Bool[Tensor, "views batch"]) -> Scores:
    """Score a batch; where enough other views show something, a centre is of these alone.

    Otherwise the one view that shows an image in the middle of a white page is unlike its image's other views.
    """
    if not judge.skips_flat:
        return judge.score(z)
    left_out = empty & ((~empty).sum(0) >= MIN_VIEWS)
    # A vector of zeros adds nothing to a centre.
    return judge.score(z.masked_fill(left_out.to(z.device)[..., None], 0))


def _extract(arbiters: ArbiterSet, views: Views) -> dict[str, Seen]:
    """Compute the features that each judge needs, once for judges that share them."""
    made = {judge.extract: judge.extract(views) for judge in arbiters.judges.values()}
    return {name: made[judge.extract] for name, judge in arbiters.judges.items()}


def _table(
    subject: InspectionInput,
    arbiters: ArbiterSet,
    scored: dict[str, _Scored],
    seen: list[Views],
    embeddings: Float[Tensor, "views images dim"],
    empty: Bool[Tensor, "views images"],
) -> ViewTable:
    """Put the batches together, in the order of the source."""
    index = torch.cat([views.index for views in seen])
    order = index.argsort()
    verdicts = {name: each.verdict() for name, each in scored.items()}
    verdicts["mahalanobis"] = _distances(embeddings, arbiters.mahalanobis)
    share = None
    if arbiters.primary in scored:
        counted = int((~empty).sum())
        share = share_of_counts(torch.cat(scored[arbiters.primary].counts), counted, subject.pipeline.seed)
        if share.none:
            verdicts[arbiters.primary] = _without_outliers(verdicts[arbiters.primary])
    wrong = None if seen[0].wrong is None else torch.cat([_required(views.wrong) for views in seen], 1)
    return ViewTable(
        source=subject.source,
        preset=subject.preset,
        item=index[order],
        parameters=_concatenated_parameters(seen)[:, order],
        embeddings=embeddings[:, order],
        verdicts={name: _ordered(verdict, order) for name, verdict in verdicts.items()},
        primary=arbiters.primary,
        wrong=None if wrong is None else wrong[:, order],
        shows_nothing=empty[:, order],
        share=share,
    )


def _distances(embeddings: Float[Tensor, "views images dim"], arbiter: Arbiter | None) -> Arbitration:
    """Weigh views by the paper's rule, with one covariance for each `COVARIANCE_IMAGES` images or fewer."""
    parts = embeddings.tensor_split(-(-embeddings.shape[1] // COVARIANCE_IMAGES), dim=1)
    verdicts = [(arbiter or _paper_arbiter(part))(part.float(), progress=1.0) for part in parts]
    return Arbitration(
        torch.cat([each.weights for each in verdicts], 1),
        torch.cat([each.scores for each in verdicts], 1),
        torch.cat([_required(each.distances) for each in verdicts], 1),
        verdicts[0].tau,
    )


def _paper_arbiter(embeddings: Float[Tensor, "views images dim"]) -> Arbiter:
    """Build the paper's arbiter with the released temperature, and with shrinkage if there are few samples."""
    views, images, dim = embeddings.shape
    covariance = "empirical" if images * (views - 1) > 2 * dim else "oas"
    return Arbiter("mahalanobis", tau=TAU_PER_DIMENSION * dim, covariance=covariance).eval()


def _without_outliers(verdict: Arbitration) -> Arbitration:
    """Return the verdict that no view is an outlier."""
    uniform = torch.ones_like(verdict.weights)
    return replace(verdict, weights=uniform, outlier_probability=torch.zeros_like(uniform))


def _ordered(verdict: Arbitration, order: Int64[Tensor, " images"]) -> Arbitration:
    def of(x: Tensor | None) -> Any:
        return None if x is None else x[:, order]

    return replace(
        verdict,
        weights=of(verdict.weights),
        scores=of(verdict.scores),
        distances=of(verdict.distances),
        outlier_probability=of(verdict.outlier_probability),
    )


def _shows_nothing(views: Views, preset: ViewPreset) -> Bool[Tensor, "views batch"]:
    std = torch.tensor(preset.std)
    return torch.cat([(each.std((-2, -1)).cpu() * std).amax(-1) < FLAT for each in views.by_size])


def _required(value: Tensor | None) -> Tensor:
    assert value is not None
    return value


def _concatenated_parameters(parts: list[Views]) -> ViewParameters:
    fields = vars(parts[0].parameters)
    return ViewParameters(**{name: torch.cat([getattr(part.parameters, name) for part in parts], 1) for name in fields})
