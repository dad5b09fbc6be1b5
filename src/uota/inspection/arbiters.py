"""The arbiters of an inspection and their features: those of a run, or one trained on the spot."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from uota.arbitration import Arbiter, Contrast, LearnedContrast, Mahalanobis, thumbnails
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
    """Features of a batch of views.

    Attributes:
        features: input of the learned arbiter.
        embeddings: space in which distances are measured; None: the learned arbiter's own embedding.
    """

    features: Float[Tensor, "views batch dim"]
    embeddings: Float[Tensor, "views batch embedding"] | None


FeatureExtractor = Callable[[Views], ViewFeatures]


@dataclass(frozen=True)
class ArbiterSet:
    """The arbiters that score the same views.

    Attributes:
        extract: features of views, shared by all arbiters.
        primary: name of the arbiter whose verdict is reported first: learned, two_groups or mahalanobis.
        learned: learned contrast; None: no arbiter was trained.
        two_groups: contrast of the embeddings, with estimated outlier probabilities.
        mahalanobis: the run's, on the embeddings; None: the paper's rule with its published temperature.
        space: description of the space in which distances are measured.
    """

    extract: FeatureExtractor
    primary: str
    learned: Arbiter | None
    two_groups: Arbiter
    mahalanobis: Arbiter | None
    space: str

    def embeddings(self, seen: ViewFeatures) -> Float[Tensor, "views batch embedding"]:
        """Return the embeddings in which distances are measured."""
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
    """Load the run's arbiter or train one, together with the arbiters that it is compared with.

    Args:
        subject: images and views to inspect.
        model: source of the learned arbiter's features if there is no run: a timm model's name, or a module from
            images to rows of features; None: thumbnails.
        weights: file of weights for the model.
        seconds: training time of an arbiter.
        compare: if the run's arbiter is not a learned one, train one for comparison.
    """
    if subject.run is not None:
        return _arbiters_of_run(subject, seconds, compare)
    extract = _feature_extractor(model, weights, subject.preset)
    stream = Stream(subject.training_source, subject.pipeline)
    learned = train_arbiter(stream, lambda views: extract(views).features, seconds)
    features = "thumbnails" if model is None and weights is None else f"features of {_model_name(model or weights)}"
    space = f"the 64 dimensions of an arbiter trained on {features} for {seconds:g} s"
    return ArbiterSet(extract, "learned", learned, Arbiter("two_groups").eval(), None, space)


def _arbiters_of_run(subject: InspectionInput, seconds: float, compare: bool) -> ArbiterSet:
    """Restore the run's arbiter: the one that weighted the loss, or else the one that chose among candidates."""
    run = subject.run
    assert run is not None
    settings = run.settings()
    module = build_module(settings, total_steps=1)
    load_part(module, run)
    method, (arbiter, looks_at) = module.eval().method, module.arbiter_and_input()
    primary = "two_groups" if arbiter is None else _kind(arbiter)
    looks_at = looks_at if primary == "learned" else "features"

    @torch.no_grad()
    def extract(views: Views) -> ViewFeatures:
        embedded = method.embed(views.by_size, Step())
        return ViewFeatures(arbiter_input(looks_at, embedded), embedded.z.detach())

    learned = arbiter if primary == "learned" else None
    if learned is None and compare:
        stream = Stream(subject.source, subject.pipeline)
        learned = train_arbiter(stream, lambda views: extract(views).features, seconds)
    two_groups = arbiter if arbiter is not None and primary == "two_groups" else Arbiter("two_groups")
    mahalanobis = arbiter.eval() if arbiter is not None and primary == "mahalanobis" else None
    space = f"the {method.dim} dimensions of the run's embeddings"
    return ArbiterSet(extract, primary, learned.eval() if learned else None, two_groups.eval(), mahalanobis, space)


def _kind(arbiter: Arbiter) -> str:
    """Return the name of an arbiter, by its score."""
    for score, name in ((LearnedContrast, "learned"), (Contrast, "two_groups"), (Mahalanobis, "mahalanobis")):
        if isinstance(arbiter.score, score):
            return name
    score_name = type(arbiter.score).__name__
    raise UotaError(f"inspect does not know the score {score_name}; add it to inspection/arbiters.py")


def _feature_extractor(model: Any, weights: Path | None, preset: ViewPreset) -> FeatureExtractor:
    """Return an extractor of thumbnails, of an encoder's features, or of the outputs of any callable."""
    if model is None and weights is None:
        return lambda views: ViewFeatures(thumbnails(views.by_size), None)
    if model is None or isinstance(model, str):
        return _encoder_extractor(_encoder(model, weights, preset))
    if weights is not None or not callable(model):
        raise UotaError("the model is neither a timm model's name nor a module without --weights; give one of the two")
    if isinstance(model, nn.Module):
        model.eval()

    @torch.no_grad()
    def extract(views: Views) -> ViewFeatures:
        try:
            rows = [model(each.flatten(0, 1)).flatten(1).unflatten(0, each.shape[:2]) for each in views.by_size]
            return ViewFeatures(torch.cat(rows).float(), None)
        except Exception as error:  # a third-party module may raise anything
            shape = tuple(views.by_size[0].flatten(0, 1).shape)
            raise UotaError(
                f"the model cannot compute features of images of shape {shape}: {type(error).__name__}: {error}; "
                "give a module from a batch of images to rows of features"
            ) from error

    return extract


def _encoder(name: str | None, weights: Path | None, preset: ViewPreset) -> Encoder:
    if weights is None:
        return Encoder(name or "tiny", preset.channels, preset.sizes[0].size).eval()
    if not weights.is_file():
        raise UotaError(f"there is no file {weights}; give a state dict, or omit --weights")
    return load_encoder(EncoderSpec(str(weights), name, preset.name)).encoder


def _encoder_extractor(encoder: Encoder) -> FeatureExtractor:
    @torch.no_grad()
    def extract(views: Views) -> ViewFeatures:
        features, early = encode(encoder, views.by_size)
        return ViewFeatures(early_and_late(Embedded(features, features, early, views.by_size)), None)

    return extract


def _model_name(model: Any) -> str:
    return str(model) if isinstance(model, str | Path) else type(model).__name__


def train_arbiter(stream: Stream, extract: Callable[[Views], Tensor], seconds: float) -> Arbiter:
    """Train a learned arbiter for a number of seconds, or one step if that takes longer."""
    read_ahead(stream.source)
    arbiter = Arbiter("learned")
    columns = (TextColumn("training the arbiter"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True, console=PROGRESS) as progress:
        task = progress.add_task("", total=seconds)
        began = time.monotonic()
        while True:
            arbiter(extract(stream.next()))
            elapsed = time.monotonic() - began
            progress.update(task, completed=elapsed)
            if elapsed >= seconds:
                return arbiter.eval()
