"""The arbiters of an inspection: that of a run, or the one that finds views best which were exchanged on purpose."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from uota.arbitration import Arbiter, CohortScore, Contrast, LearnedContrast, Mahalanobis
from uota.arbitration.arbiter import Score
from uota.arbitration.candidates import select_in_two_stages
from uota.arbitration.selection import MIN_IMAGES, Candidate, Selection, fit_by_halves
from uota.console import track_progress
from uota.distributed import in_turns, on_this_rank, rank
from uota.errors import UotaError
from uota.inspection.eyes import Eyes, open_eyes
from uota.inspection.input import InspectionInput, ItemBatch
from uota.methods.embedded import Step
from uota.training.setup import load_module
from uota.views import Views

logger = logging.getLogger(__name__)

CHOSEN, LEARNED, COHORT, TWO_GROUPS, MAHALANOBIS = "chosen", "learned", "cohort", "two_groups", "mahalanobis"
Seen = dict[str, Float[Tensor, "views batch _"]]
# Fewest images in each half of the sample of which a head is trained; from fewer it learns nothing.
MIN_HALF = 16


@dataclass(frozen=True)
class Judge:
    """A score, and the features that it compares.

    Attributes:
        extract: computes features of views.
        embed: embeds the features of images of a half (0 or 1) for the score.
        score: score of the embeddings.
        by_halves: whether images of different halves are embedded differently, so that they cannot be compared.
        skips_flat: whether views of a single colour are left out of their images' centres, unlike in training.
    """

    extract: Callable[[Views], Seen]
    embed: Callable[[Seen, int], Float[Tensor, "views batch dim"]]
    score: Score
    by_halves: bool = False
    skips_flat: bool = False


@dataclass(frozen=True)
class ArbiterSet:
    """The arbiters that score the same views.

    Attributes:
        judges: by name; the first is reported first. Each has a null distribution, from which probabilities follow.
        embed: embeds the features of the first judge in the space in which distances are measured.
        space: description of that space.
        mahalanobis: the run's, on these embeddings; None: the paper's rule with its published temperature.
        primary: name of the arbiter whose verdict is reported first.
        selection: how the chosen judge was chosen; None: there is none.
    """

    judges: dict[str, Judge]
    embed: Callable[[Seen, int], Float[Tensor, "views batch dim"]]
    space: str
    mahalanobis: Arbiter | None
    primary: str
    selection: Selection | None = field(default=None)

    @property
    def by_halves(self) -> bool:
        """Whether the images must be scored in two halves."""
        return any(judge.by_halves for judge in self.judges.values())


def build_arbiters(
    subject: InspectionInput,
    eyes: Any = "auto",
    backbone: str | None = None,
    steps: int | None = None,
    compare: bool = True,
) -> ArbiterSet:
    """Load the run's arbiter or choose one by injection, together with the arbiters that it is compared with.

    Args:
        subject: images and views to inspect.
        eyes: what a chosen arbiter sees with, as `open_eyes` takes it.
        backbone: network of a file of weights.
        steps: training steps of the heads that are tried; None: several numbers are tried.
        compare: with a run, also choose an arbiter, for comparison.
    """
    if subject.run is not None:
        return _arbiters_of_run(subject, eyes, backbone, steps, compare)
    judge, selection, space = choose_judge(subject, open_eyes(eyes, subject.preset, backbone), steps)
    return ArbiterSet({CHOSEN: judge}, judge.embed, space, None, CHOSEN, selection)


def choose_judge(subject: InspectionInput, eyes: Eyes, steps: int | None) -> tuple[Judge, Selection, str]:
    """Choose the judge that finds exchanged views best, first by its features and score, then by its head's training.

    Returns:
        The judge, how it was chosen, and a description of its embeddings.

    Raises:
        UotaError: none of the images can be read.
    """
    features, first = sample_features(subject, eyes)
    few = min(first.sum(), (~first).sum()) < MIN_HALF
    with on_this_rank():  # every rank has the same features, and chooses the same
        selection = _choose(eyes, features, subject.pipeline.seed, 0 if few else steps)
        best = selection.best
        judge = fit_judge(best, eyes, features, first, subject.pipeline.seed)
    figure = selection.found.get(best.name)
    found = "" if figure is None else f"; it finds exchanged views with average precision {figure:.2f}"
    if rank() == 0:
        logger.info(f"arbiter: {best.name}{found}")
    return judge, selection, f"{best.name}, by {eyes.name}"


def fit_judge(candidate: Candidate, eyes: Eyes, features: Seen, first: Bool[Tensor, " images"], seed: int) -> Judge:
    """Fit a candidate to the features of some images, those of each half for the other half.

    Args:
        candidate: the candidate.
        eyes: compute such features of other views.
        features: features of the images.
        first: images of the first half.
        seed: seed of a head.
    """
    fitted = fit_by_halves(candidate, features, first, seed)

    def embed(seen: Seen, half: int) -> Tensor:
        return fitted.embed[half](seen)

    return Judge(eyes.extract, embed, candidate.score, candidate.learns, skips_flat=True)


def _choose(eyes: Eyes, features: Seen, seed: int, steps: int | None) -> Selection:
    """Choose among the candidates; if steps is 0, only among those that train no head."""
    candidates = [each for each in eyes.candidates if steps != 0 or not each.learns]
    if next(iter(features.values())).shape[1] < MIN_IMAGES:
        return Selection(candidates[0], {})

    def second(best: Candidate) -> list[Candidate]:
        trained = eyes.trained(best, steps)
        return [best, *trained] if trained and steps is None else trained

    return select_in_two_stages(candidates, second, features, seed)


def sample_features(subject: InspectionInput, eyes: Eyes) -> tuple[Seen, Bool[Tensor, " images"]]:
    """Compute the features of a random sample of the images, and mark those of the first half."""

    def look(batch: ItemBatch) -> tuple[Seen, Tensor] | None:
        views = subject.readable_views(batch.samples)
        return None if views is None else (eyes.extract(views), torch.full((views.batch,), batch.half == 0))

    batches = subject.batches(eyes.sample)
    looks = track_progress(in_turns(look, batches), "choosing an arbiter", rank() == 0, len(batches))
    made = [each for each in looks if each is not None]
    if not made:
        raise UotaError(f"none of the images of {subject.source.name} can be read; check whether they are damaged")
    seen, first = [each for each, _ in made], [each for _, each in made]
    return {name: torch.cat([each[name] for each in seen], 1) for name in seen[0]}, torch.cat(first)


def _arbiters_of_run(
    subject: InspectionInput, eyes: Any, backbone: str | None, steps: int | None, compare: bool
) -> ArbiterSet:
    """Restore the run's arbiter: the one that weighted the loss, or else the one that chose among candidates."""
    run = subject.run
    assert run is not None
    module = load_module(run, run.settings()).eval()
    method, arbiter = module.method, module.primary_arbiter
    primary = TWO_GROUPS if arbiter is None else _kind(arbiter)

    @torch.no_grad()
    def extract(views: Views) -> Seen:
        embedded = method.embed(views.by_size, Step())
        return {"input": module.arbiter_features(embedded), "embeddings": embedded.z.detach()}

    def embeddings(seen: Seen, half: int) -> Tensor:
        return seen["embeddings"]

    judges = {TWO_GROUPS: Judge(extract, embeddings, Contrast())}
    if arbiter is not None and primary != MAHALANOBIS:
        own = {primary: Judge(extract, lambda seen, half: seen["input"], arbiter.eval().score)}
        judges = own | {name: judge for name, judge in judges.items() if name != primary}
    selection = None
    if compare:
        judges[CHOSEN], selection, _ = choose_judge(subject, open_eyes(eyes, subject.preset, backbone), steps)
    mahalanobis = arbiter.eval() if arbiter is not None and primary == MAHALANOBIS else None
    space = f"the {method.dim} dimensions of the run's embeddings"
    return ArbiterSet(judges, embeddings, space, mahalanobis, primary, selection)


def _kind(arbiter: Arbiter) -> str:
    """Return the name of an arbiter, by its score."""
    kinds = {LearnedContrast: LEARNED, CohortScore: COHORT, Contrast: TWO_GROUPS, Mahalanobis: MAHALANOBIS}
    for score, name in kinds.items():
        if isinstance(arbiter.score, score):
            return name
    score_name = type(arbiter.score).__name__
    raise UotaError(f"inspect does not know the score {score_name}; add it to inspection/arbiters.py")
