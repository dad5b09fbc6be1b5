"""What an encoder can do with the demo's drawings."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Int64
from torch import Tensor

from uota.data import Groups
from uota.demo.archive import open_parts, studio_of, thing_of
from uota.demo.lists import precision_of
from uota.evaluation import Features as Labelled
from uota.evaluation import evaluate_knn
from uota.evaluation.retrieval import evaluate_retrieval
from uota.membership.eyes import default_eyes, encoder_eyes, file_features
from uota.membership.projection import Features
from uota.runs.encoder import load_encoder
from uota.settings.evaluation import EncoderSpec


class Figures(NamedTuple):
    """What an encoder can do, in per cent except for the last.

    Attributes:
        retrieval: how often the nearest drawing of the other studios shows the same thing, of things not trained on.
        knn: accuracy of their categories by the nearest drawings of the things that were trained on.
        precision: average precision of the list of misfiled drawings.
    """

    retrieval: float
    knn: float
    precision: float


def measure_run(run: Path, drawings: Path, seed: int) -> Figures:
    """Measure a run's encoder, which sees files in the size in which the pretrained encoder sees them.

    Args:
        run: folder of the run.
        drawings: all drawings of an archive.
        seed: of the list.
    """
    groups, test = open_parts(drawings)
    loaded = load_encoder(EncoderSpec(str(run)))
    size = default_eyes(groups.files).preset.evaluation_size
    eyes = encoder_eyes(loaded, replace(loaded.preset, evaluation_size=size, evaluation_resize=None))
    seen, unseen = (file_features(part.files, eyes, bar=False) for part in (groups, test))
    return measure(groups, test, seen, unseen, seed)


def measure(groups: Groups, test: Groups, seen: Features, unseen: Features, seed: int) -> Figures:
    """Measure an encoder by its features.

    Args:
        groups: drawings that were trained on, some of them misfiled; they count with the category of what they show.
        test: drawings of other things.
        seen: features of the drawings that were trained on.
        unseen: features of the others.
        seed: of the list.
    """
    bank = Labelled(seen["output"], _categories(groups))
    queries = Labelled(unseen["output"], _categories(test))
    things, studios = (_numbered([of(path) for path in _paths(test)]) for of in (thing_of, studio_of))
    return Figures(
        evaluate_retrieval(queries.x, things, studios),
        evaluate_knn(bank, queries).top1,
        precision_of(groups, seen, seed),
    )


def _categories(groups: Groups) -> Int64[Tensor, " files"]:
    """Return the category of what each file shows; a group is named CATEGORY/THING."""
    names = [groups.display_name(number).rsplit("/", 1) for number in range(len(groups))]
    category = {thing: category for category, thing in names}
    return _numbered([category[thing_of(path)] for path in _paths(groups)])


def _paths(groups: Groups) -> list[Path]:
    paths = (groups.files.path(index) for index in range(len(groups.files)))
    return [path for path in paths if path is not None]


def _numbered(names: list[str]) -> Int64[Tensor, " names"]:
    """Number names in alphabetical order."""
    order = {name: number for number, name in enumerate(sorted(set(names)))}
    return torch.tensor([order[name] for name in names])
