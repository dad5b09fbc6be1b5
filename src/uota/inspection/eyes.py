"""The eyes of an inspection: features of views, and the candidates that may judge views by them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from uota.arbitration import CohortScore, Contrast, thumbnails
from uota.arbitration.candidates import SAMPLE, STEPS, TEMPERATURES, frozen_candidates, with_heads
from uota.arbitration.selection import Candidate, Score, frozen, learned
from uota.encoders.pretrained import PRETRAINED
from uota.errors import UotaError
from uota.runs.eyes import THUMBNAILS, module_features, open_frozen_features
from uota.views import ViewPreset, Views

MODEL = "model"
# Training steps of a head on thumbnails, which tell little without.
THUMBNAIL_STEPS = (25, 50, 100)


@dataclass(frozen=True)
class Eyes:
    """Features of views, and who may judge by them.

    Attributes:
        name: description of the features.
        extract: computes features of each kind.
        candidates: candidates of which the best is chosen first.
        trained: given that one, candidates with a trained head that are compared with it.
        sample: number of images on which candidates are compared.
    """

    name: str
    extract: Callable[[Views], dict[str, Float[Tensor, "views batch _"]]]
    candidates: list[Candidate]
    trained: Callable[[Candidate, int | None], list[Candidate]]
    sample: int


def open_eyes(eyes: Any, preset: ViewPreset, backbone: str | None = None) -> Eyes:
    """Open the eyes that a user names.

    Args:
        eyes: pretrained (the embedded weights); thumbnails; auto, the better of the two; whatever `load_encoder`
            takes, such as the name of a timm model, a file of weights or the folder of a run; or a module from images
            to rows of features.
        preset: preset of the views that they will see.
        backbone: network of a file of weights, if it cannot be inferred.

    Raises:
        UotaError: there are no such eyes.
    """
    if not isinstance(eyes, str | Path):
        return _of_module(eyes)
    if str(eyes) == "auto":
        return _with_thumbnails(_of_encoder(PRETRAINED, None, preset))
    return _thumbnails() if str(eyes) == THUMBNAILS else _of_encoder(str(eyes), backbone, preset)


def _thumbnails() -> Eyes:
    steps = {step: learned(THUMBNAILS, step) for step in THUMBNAIL_STEPS}

    def trained(best: Candidate, own: int | None) -> list[Candidate]:
        return list(steps.values()) if own is None else [learned(THUMBNAILS, own)] if own else []

    extract = lambda views: {THUMBNAILS: thumbnails(views.by_size)}  # noqa: E731
    return Eyes(THUMBNAILS, extract, [frozen((THUMBNAILS,), Contrast())], trained, 2048)


def _with_thumbnails(eyes: Eyes) -> Eyes:
    small = _thumbnails()
    extract = lambda views: eyes.extract(views) | small.extract(views)  # noqa: E731
    return Eyes(eyes.name, extract, [*eyes.candidates, learned(THUMBNAILS, STEPS[0])], eyes.trained, eyes.sample)


def _of_encoder(name: str, backbone: str | None, preset: ViewPreset) -> Eyes:
    features = open_frozen_features(name, preset, backbone)
    title = "the embedded pretrained encoder" if name == PRETRAINED else name
    return Eyes(title, lambda views: features(views.by_size), frozen_candidates(), _heads, SAMPLE)


def _of_module(model: Any) -> Eyes:
    """Return eyes that see the outputs of any callable on batches of images."""
    see = module_features(model)

    def extract(views: Views) -> dict[str, Tensor]:
        try:
            return {MODEL: torch.cat([see(each.flatten(0, 1)).unflatten(0, each.shape[:2]) for each in views.by_size])}
        except RuntimeError as error:  # of numbers of rows or features
            raise UotaError(
                f"the model's features are not one row for each view, as long for views of one size as of another: "
                f"{error}; give a module from a batch of images to rows of features"
            ) from error

    scores: list[Score] = [CohortScore(), *map(Contrast, TEMPERATURES)]
    candidates = [frozen((MODEL,), score) for score in scores]
    return Eyes(f"features of {type(model).__name__}", extract, candidates, _heads, SAMPLE)


def _heads(best: Candidate, steps: int | None) -> list[Candidate]:
    return with_heads(best) if steps is None else with_heads(best, (steps,))
