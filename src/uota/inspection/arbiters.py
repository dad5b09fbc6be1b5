"""What arbiters look at, and the arbiters: a run's, and one that learns for some seconds."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from uota.arbitration import Arbiter, LearnedContrast, TwoGroups, thumbnails
from uota.console import PROGRESS
from uota.encoders.encoder import Encoder, encode
from uota.errors import UotaError
from uota.inspection.input import InspectionInput, Stream, read_ahead
from uota.methods.embedded import Embedded, Step
from uota.runs.encoder import load_encoder
from uota.runs.run import load_part
from uota.settings.evaluation import EncoderSpec
from uota.training.arbiter_inputs import arbiter_input, early_and_late
from uota.training.setup import build_module
from uota.views import ViewPreset, Views


@dataclass(frozen=True)
class ViewFeatures:
    """What is seen of a batch of views.

    Attributes:
        features: what the learned arbiter looks at.
        embeddings: where distances are measured; None: in the learned arbiter's own.
    """

    features: Float[Tensor, "views batch dim"]
    embeddings: Float[Tensor, "views batch embedding"] | None


FeatureExtractor = Callable[[Views], ViewFeatures]


@dataclass(frozen=True)
class ArbiterSet:
    """Who judges.

    Attributes:
        eyes: what all of them look through.
        own: whose word counts first: learned, two_groups or mahalanobis.
        learned: None: nobody learned.
        two_groups: on the embeddings.
        mahalanobis: the run's, on the embeddings; None: the paper's rule with its temperature.
        space: where distances are measured, for a person.
    """

    eyes: FeatureExtractor
    own: str
    learned: Arbiter | None
    two_groups: Arbiter
    mahalanobis: Arbiter | None
    space: str

    def embeddings(self, seen: ViewFeatures) -> Float[Tensor, "views batch embedding"]:
        """Where distances are measured."""
        if seen.embeddings is not None:
            return seen.embeddings
        assert self.learned is not None
        assert isinstance(self.learned.score, LearnedContrast)
        return self.learned.score.embed(seen.features)


def build_arbiters(
    subject: InspectionInput,
    model: Any = None,
    weights: Path | None = None,
    seconds: float = 20.0,
    compare: bool = True,
) -> ArbiterSet:
    """The run's arbiter, or one that learns for some seconds, and those that it is compared with.

    Args:
        subject: what is inspected.
        model: without a run, what the learned arbiter looks through: a timm model's name, or a module that makes rows
            of features of images; None: thumbnails.
        weights: a file of weights for the model.
        seconds: how long an arbiter learns.
        compare: let one learn beside a run's arbiter that does not.
    """
    if subject.run is not None:
        return _arbiters_of_run(subject, seconds, compare)
    eyes = _eyes(model, weights, subject.preset)
    learned = train_arbiter(Stream(subject.learned_on, subject.pipeline), lambda views: eyes(views).features, seconds)
    through = "thumbnails" if model is None and weights is None else f"features of {_called(model or weights)}"
    space = f"the 64 dimensions of an arbiter that learned on {through} for {seconds:g} s"
    return ArbiterSet(eyes, "learned", learned, Arbiter("two_groups").eval(), None, space)


def _arbiters_of_run(subject: InspectionInput, seconds: float, compare: bool) -> ArbiterSet:
    """As the run's checkpoint left them: what weighed; or what chose among candidates."""
    run = subject.run
    assert run is not None
    settings = run.settings()
    module = build_module(settings, total_steps=1)
    load_part(module, run)
    method, (arbiter, looks_at) = module.eval().method, module.arbiter_and_input()
    own = "two_groups" if arbiter is None else _kind(arbiter)
    looks_at = looks_at if own == "learned" else "features"

    @torch.no_grad()
    def eyes(views: Views) -> ViewFeatures:
        embedded = method.embed(views.by_size, Step())
        return ViewFeatures(arbiter_input(looks_at, embedded), embedded.z.detach())

    learned = arbiter if own == "learned" else None
    if learned is None and compare:
        learned = train_arbiter(Stream(subject.source, subject.pipeline), lambda views: eyes(views).features, seconds)
    two_groups = arbiter if arbiter is not None and own == "two_groups" else Arbiter("two_groups")
    mahalanobis = arbiter.eval() if arbiter is not None and own == "mahalanobis" else None
    space = f"the {method.dim} dimensions of the run's embeddings"
    return ArbiterSet(eyes, own, learned.eval() if learned else None, two_groups.eval(), mahalanobis, space)


def _kind(arbiter: Arbiter) -> str:
    if isinstance(arbiter.score, LearnedContrast):
        return "learned"
    return "two_groups" if isinstance(arbiter.strength, TwoGroups) else "mahalanobis"


def _eyes(model: Any, weights: Path | None, preset: ViewPreset) -> FeatureExtractor:
    """Thumbnails, an encoder, or whatever makes features of images."""
    if model is None and weights is None:
        return lambda views: ViewFeatures(thumbnails(views.by_size), None)
    if model is None or isinstance(model, str):
        return _eyes_of_encoder(_encoder(model, weights, preset))
    if weights is not None or not callable(model):
        raise UotaError("a model is a timm model's name, with or without a file of weights, or a module with its own")
    if isinstance(model, nn.Module):
        model.eval()

    @torch.no_grad()
    def eyes(views: Views) -> ViewFeatures:
        try:
            rows = [model(group.flatten(0, 1)).flatten(1).unflatten(0, group.shape[:2]) for group in views.by_size]
            return ViewFeatures(torch.cat(rows).float(), None)
        except Exception as error:  # of somebody else's module
            shape = tuple(views.by_size[0].flatten(0, 1).shape)
            raise UotaError(
                f"the model makes no rows of features of images {shape}: {type(error).__name__}: {error}"
            ) from error

    return eyes


def _encoder(name: str | None, weights: Path | None, preset: ViewPreset) -> Encoder:
    if weights is None:
        return Encoder(name or "tiny", preset.channels, preset.sizes[0].size).eval()
    if not weights.is_file():
        raise UotaError(f"there is no file {weights}; give a state dict, or leave --weights out")
    return load_encoder(EncoderSpec(str(weights), name, preset.name)).encoder


def _eyes_of_encoder(encoder: Encoder) -> FeatureExtractor:
    @torch.no_grad()
    def eyes(views: Views) -> ViewFeatures:
        features, early = encode(encoder, views.by_size)
        return ViewFeatures(early_and_late(Embedded(features, features, early, views.by_size)), None)

    return eyes


def _called(model: Any) -> str:
    return str(model) if isinstance(model, str | Path) else type(model).__name__


def train_arbiter(stream: Stream, look: Callable[[Views], Tensor], seconds: float) -> Arbiter:
    """An arbiter that learned for some seconds, at least one step."""
    read_ahead(stream.source)
    arbiter = Arbiter("learned")
    columns = (TextColumn("the arbiter learns"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True, console=PROGRESS) as progress:
        task = progress.add_task("", total=seconds)
        began = time.monotonic()
        while True:
            arbiter(look(stream.next()))
            elapsed = time.monotonic() - began
            progress.update(task, completed=elapsed)
            if elapsed >= seconds:
                return arbiter.eval()
