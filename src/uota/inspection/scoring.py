"""Scoring of all views of an inspection, by every arbiter, in one pass over the images."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from uota.arbitration import Arbiter, Arbitration, Scores
from uota.arbitration.strengths.two_groups import counts_by_image, weigh_by_densities
from uota.console import track_progress
from uota.distributed import gather_objects, on_this_rank, rank, world_size
from uota.errors import UotaError
from uota.evaluation.features import tell_unreadable
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


@dataclass(frozen=True)
class _Scored:
    """Scores by one judge, and the counts of each image's scores."""

    observed: Float[Tensor, "views batch"]
    counts: Float[Tensor, "batch 3 bins"]
    position: Any

    @classmethod
    def of(cls, scores: Scores, counted: Bool[Tensor, "views batch"]) -> "_Scored":
        counts = counts_by_image(scores, counted.to(scores.observed.device)).float().cpu()
        return cls(scores.observed.cpu(), counts, scores.position)

    @classmethod
    def joined(cls, parts: "list[_Scored]") -> "_Scored":
        observed, counts = torch.cat([each.observed for each in parts], 1), torch.cat([each.counts for each in parts])
        return cls(observed, counts, parts[0].position)

    def verdict(self) -> Arbitration:
        total = self.counts.sum(0, dtype=torch.float64)
        scores = Scores(self.observed, None, self.position)
        weighing = weigh_by_densities(total / total.sum(1, keepdim=True).clamp_min(1), scores)
        rate = None if weighing.outlier_rate is None else float(weighing.outlier_rate)
        return Arbitration(weighing.weights, self.observed, None, None, weighing.outlier_probability, rate)


class _Batch(NamedTuple):
    """The views of a batch without their pixels, which show nothing, and what the judges say.

    Attributes:
        place: by which batches are ordered.
        views: without pixels.
        empty: (views, batch), which show nothing.
        embeddings: (views, batch, dim), in which distances are measured.
        scored: by judge.
    """

    place: tuple[int, int]
    views: Views
    empty: Bool[Tensor, "views batch"]
    embeddings: Float[Tensor, "views batch dim"]
    scored: dict[str, _Scored]


def score_views(subject: InspectionInput, arbiters: ArbiterSet, bar: bool = True) -> ViewTable:
    """Make views of all images and score them with every arbiter.

    Images are scored against some `BATCH` others at a time; all scores of an arbiter form one distribution. Views that
    show nothing do not count in it. Ranks share the batches, and each gets all scores; they are those of one process,
    unless a batch has fewer than `MIN_ITEMS` readable images, which then join another one.

    Args:
        subject: images, and the pipeline of their views.
        arbiters: arbiters that score the views.
        bar: show a progress bar.

    Raises:
        UotaError: too few of the images can be read.
    """
    mine = subject.batches(by_halves=arbiters.by_halves)[rank() :: world_size()]
    bars = track_progress(mine, "scoring views", bar and rank() == 0)
    with on_this_rank():
        made = [_score_batch(subject, arbiters, half, views) for half, views in subject.readable_batches(bars)]
    made = sorted(gather_objects(made), key=lambda batch: batch.place)
    tell_unreadable(subject.source)
    if sum(each.views.batch for each in made) < MIN_ITEMS:
        raise UotaError(
            f"fewer than {MIN_ITEMS} images of {subject.source.name} can be read; check whether the others are damaged"
        )
    with on_this_rank():
        return _table(subject, arbiters, made)


def _score_batch(subject: InspectionInput, arbiters: ArbiterSet, half: int, views: Views) -> _Batch:
    empty, features = _shows_nothing(views, subject.preset), _extract(arbiters, views)
    scored = {
        name: _Scored.of(_scores(judge, judge.embed(features[name], half), empty), ~empty)
        for name, judge in arbiters.judges.items()
    }
    embeddings = arbiters.embed(features[next(iter(features))], half).half().cpu()
    views.by_size = []  # free the pixels, which are no longer needed
    return _Batch((half, subject.place_of(int(views.index[0]))), views, empty, embeddings, scored)


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


def _table(subject: InspectionInput, arbiters: ArbiterSet, batches: list[_Batch]) -> ViewTable:
    """Put the batches together, in the order of the source."""
    seen = [each.views for each in batches]
    scored = {name: _Scored.joined([each.scored[name] for each in batches]) for name in arbiters.judges}
    embeddings = torch.cat([each.embeddings for each in batches], 1)
    empty = torch.cat([each.empty for each in batches], 1)
    index = torch.cat([views.index for views in seen])
    order = index.argsort()
    verdicts = {name: each.verdict() for name, each in scored.items()}
    verdicts["mahalanobis"] = _distances(embeddings, arbiters.mahalanobis)
    share = None
    if arbiters.primary in scored:
        counted = int((~empty).sum())
        share = share_of_counts(scored[arbiters.primary].counts, counted, subject.pipeline.seed)
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
