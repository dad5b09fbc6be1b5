"""What arbitration is worth where views are plainly wrong: python -m benchmarks.groups [RUNS]  (an hour on 2 cores).

Each of 1,000 garments of the demo is photographed eight times: in another place, at another angle and size, beside
another neighbour, in another light. A share of the photographs is then filed wrong, each in the folder of another
garment. Measured: SwAV's encoder (labels of what a photograph really shows; garments it has not seen), and how well the
files that are wrong are listed (average precision), by the arbiter and by what one would do without it:

    centre    distance to the mean of the folder's other files, the better of cosine and Euclidean
    cleanlab  its label quality, by the folders of the 10 nearest neighbours, and by closeness to each folder's centre

on pixels, on an untrained encoder, and on that of the run. Needs cleanlab (pip install cleanlab), which this package
does not. Makes what has no line in benchmarks/results/groups.jsonl yet, two runs at a time on a core each.
"""

import sys
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.metrics import average_precision_score
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.accuracy import accuracy, top1
from benchmarks.lines import make_missing
from benchmarks.worth.arms import ARMS, Watched
from benchmarks.worth.run import Training
from uota import Arbiter, thumbnails
from uota.data import Groups, SceneOptions, open_source
from uota.data.source import TensorSource
from uota.evaluation import encoder_features, pixel_features
from uota.methods import Step
from uota.methods.build import build_method
from uota.misfiled.files import FileVerdicts, score_files, score_files_by_halves
from uota.recipes import recipe
from uota.settings.pretrain import Pretrain
from uota.training.arbiter_inputs import arbiter_input
from uota.training.resolve import resolve_auto
from uota.views import ViewPipeline, ViewPreset, Views
from uota.views.presets import preset_of

OUT = Path(__file__).parent / "results/groups.jsonl"
GARMENTS, PHOTOGRAPHS, EPOCHS, BATCH = 1000, 8, 16, 64
LIGHT = (0.4, 1.0)
SCENE = SceneOptions(canvas=40, radius=(0.3, 0.45), other_scale=(0.4, 0.6))
RATES, SEEDS = (0.25, 0.1, 0.0), (0, 1, 2)
METHODS, OTHERS, ONCE = ("simclr", "swav"), ("barlow_twins", "moco_v2", "simsiam", "byol"), 0
TRAINED = ("none", "learned-thumbnails", "learned-features", "oracle")
UNTRAINED = ("pixels", "untrained")
# Where most is wrong: other weights, weights that say nothing, and a second loss without weights.
CONTROLS = ("learned-both", "paper", "shuffled", "auxiliary")
# Steps of an arbiter that learns without a run, on thumbnails or through an untrained encoder.
STEPS = 200
# Passes over all files to list them; `uota inspect` makes more.
DRAWS = 3
NEIGHBOURS, TEMPERATURE = 10, 0.1


class Run(NamedTuple):
    """What identifies a line of results."""

    rate: float
    arm: str
    seed: int
    method: str = "swav"


class Archive(NamedTuple):
    """Photographs in folders.

    Attributes:
        groups: the folders.
        wrong: (files,), True for those that show another garment than their folder's.
        train, test: photographs with labels of what they show.
    """

    groups: Groups
    wrong: Tensor
    train: TensorSource
    test: TensorSource


def archive(rate: float, seed: int) -> Archive:
    """Garments photographed, and a share of the files given to another folder each."""
    pixels, labels, classes = photographs("train", seed, PHOTOGRAPHS)
    files = TensorSource("photographs", pixels[:GARMENTS].transpose(0, 1).flatten(0, 1).contiguous())
    # File f shows garment f mod GARMENTS.
    folder = torch.arange(GARMENTS).repeat(PHOTOGRAPHS)
    misfiled = misfile(folder, rate, seed)
    members = [torch.nonzero(misfiled == garment)[:, 0].tolist() for garment in range(GARMENTS)]
    train = TensorSource("train", pixels[:GARMENTS, 0], labels[:GARMENTS], classes)
    return Archive(Groups(files, members), misfiled != folder, train, TensorSource("test", *seen_once(seed)))


def misfile(folder: Tensor, rate: float, seed: int) -> Tensor:
    """The folder of each file, when `rate` of the files pass theirs on to the next of them."""
    random = torch.Generator().manual_seed(seed)
    moved = torch.randperm(len(folder), generator=random)[: round(rate * len(folder))]
    filed = folder.clone()
    filed[moved] = folder[moved.roll(1)]
    return filed


def seen_once(seed: int) -> tuple[Tensor, Tensor, list[str]]:
    """A photograph of each of the 2,000 test garments."""
    pixels, labels, classes = photographs("test", seed, 1)
    return pixels[:, 0], labels, classes


@cache
def photographs(split: str, seed: int, count: int) -> tuple[Tensor, Tensor, list[str]]:
    """Pixels (garments, count, 1, side, side), labels and classes: a scene of its own for each photograph."""
    shots = [replace(SCENE, seed=100 * seed + number) for number in range(count)]
    scenes = [open_source("demo-scenes", split, scenes=shot) for shot in shots]
    pixels = torch.stack([scene.pixels for scene in scenes], dim=1)
    random = torch.Generator().manual_seed(seed)
    low, high = LIGHT
    light = low + (high - low) * torch.rand(*pixels.shape[:2], 1, 1, 1, generator=random)
    return (pixels * light).round().to(torch.uint8), scenes[0].labels, scenes[0].classes


class Knowing(NamedTuple):
    """A pipeline that knows which files are wrong."""

    pipeline: ViewPipeline
    wrong: Tensor

    def __call__(self, source: Groups, samples: list[tuple[int, int]]) -> Views:
        views = self.pipeline(source, samples)
        return replace(views, wrong=self.wrong[views.parameters.image])


def measure(run: Run) -> dict[str, Any]:
    """Everything that a line of results holds."""
    data = archive(run.rate, run.seed)
    plain = recipe(f"{run.method}_demo")
    settings = replace(plain, views="groups", epochs=EPOCHS, batch_size=BATCH, seed=run.seed, arbiter="none")
    settings = resolve_auto(settings, data.groups)
    found = of_pixels if run.arm == "pixels" else of_untrained if run.arm == "untrained" else of_trained
    return run._asdict() | {"epochs": EPOCHS} | found(run, data, settings)


def of_trained(run: Run, data: Archive, settings: Pretrain) -> dict[str, Any]:
    """A run of a method: its encoder, and the lists that it gives."""
    preset, arm = preset_of(settings), ARMS[run.arm]
    training = Training(settings, arm, data.groups, preset)
    training.pipeline = Knowing(training.pipeline, data.wrong)  # type: ignore[assignment]
    list(training.parts(1))
    method = training.module.method.eval()
    watched = training.judge if isinstance(training.judge, Watched) else Watched("embeddings", Arbiter("two_groups"))

    @torch.no_grad()
    def see(views: Views) -> Tensor:
        return arbiter_input(watched.at, method.embed(views.by_size, Step()))

    judged = score_files(data.groups, ViewPipeline(preset, run.seed), watched.arbiter.score, see, DRAWS, bar=False)
    told = {f"training_{name}": value for name, value in training.told().items()} | listed(data, judged)
    return accuracy(method.encoder, data.train, data.test, preset) | told | by_features(method, data, preset)


def of_untrained(run: Run, data: Archive, settings: Pretrain) -> dict[str, Any]:
    """An encoder that nobody trained."""
    method = build_method(settings).eval()
    preset = preset_of(settings)

    @torch.no_grad()
    def see(views: Views) -> Tensor:
        return arbiter_input("features", method.embed(views.by_size, Step()))

    precision = train_arbiter(run, data, preset, see)
    return accuracy(method.encoder, data.train, data.test, preset) | precision | by_features(method, data, preset)


def of_pixels(run: Run, data: Archive, settings: Pretrain) -> dict[str, Any]:
    """No encoder at all."""
    preset = preset_of(settings)
    x = pixel_features(labelled(data.groups.files), preset).x
    precision = train_arbiter(run, data, preset, lambda views: thumbnails(views.by_size))
    found = top1(*(pixel_features(source, preset) for source in (data.train, data.test)))
    return found | precision | average_precision(data, **baselines(x, data))


def train_arbiter(run: Run, data: Archive, preset: ViewPreset, see: Any) -> dict[str, float]:
    """The list without a run, as `uota inspect --data` makes it."""
    pipeline = ViewPipeline(preset, run.seed)

    def learn(half: Groups) -> Any:
        arbiter, random = Arbiter("learned", seed=run.seed), np.random.default_rng(run.seed)
        for step in range(STEPS):
            chosen = random.permutation(len(half))[:BATCH].tolist()
            arbiter(see(pipeline(half, [(step, index) for index in chosen])))
        return arbiter.score

    return listed(data, score_files_by_halves(data.groups, pipeline, learn, see, DRAWS, bar=False))


def listed(data: Archive, judged: FileVerdicts) -> dict[str, float]:
    """How good a list is, and how true its probabilities: their mean is the estimated rate."""
    rate = {"listed_rate": round(float(judged.probability.mean()), 4)}
    return rate | average_precision(data, outliers=-judged.worst_first().argsort())


def by_features(method: Any, data: Archive, preset: ViewPreset) -> dict[str, float]:
    """The baselines on an encoder's features of whole photographs."""
    x = encoder_features(method.encoder, labelled(data.groups.files), preset).x
    return average_precision(data, **baselines(x, data))


def labelled(files: TensorSource) -> TensorSource:
    """Features are computed of labelled sources only; these labels are of no use."""
    return TensorSource(files.name, files.pixels, torch.zeros(len(files), dtype=torch.int64), ["file"])


def average_precision(data: Archive, **suspicion: Tensor) -> dict[str, float]:
    """Of the list of wrong files, by what is the more suspicious the higher it is; empty where none are wrong."""
    if not data.wrong.any():
        return {}
    return {f"ap_{name}": round(average_precision_score(data.wrong, of), 4) for name, of in suspicion.items()}


def baselines(x: Tensor, data: Archive) -> dict[str, Tensor]:
    """What one would do with features (files, dim) and no arbiter."""
    folder = torch.empty(len(x), dtype=torch.int64)
    for number, group in enumerate(data.groups.members):
        folder[group] = number
    sizes = folder.bincount()[folder][:, None].clamp(min=2)
    sums = torch.zeros(len(data.groups), x.shape[1]).index_add(0, folder, x)
    others = (sums[folder] - x) / (sizes - 1)
    z = normalize(x, dim=-1)
    directions = torch.zeros(len(data.groups), x.shape[1]).index_add(0, folder, z)
    own = (z * normalize(directions[folder] - z, dim=-1)).sum(-1)
    return {
        "centre_euclidean": (x - others).norm(dim=-1),
        "centre_cosine": -own,
        "cleanlab_neighbours": -label_quality(folder, by_neighbours(z, folder)),
        "cleanlab_centres": -label_quality(folder, by_centres(z, directions, own, folder)),
    }


def label_quality(folder: Tensor, probabilities: Tensor) -> Tensor:
    """cleanlab's, of labels and out-of-sample probabilities (files, folders)."""
    from cleanlab.rank import get_label_quality_scores

    return torch.from_numpy(get_label_quality_scores(folder.numpy(), probabilities.numpy()))


def by_neighbours(z: Tensor, folder: Tensor) -> Tensor:
    """Share of the nearest other files that lie in each folder."""
    shares = torch.zeros(len(z), int(folder.max()) + 1)
    for rows in torch.arange(len(z)).split(1024):
        near = (z[rows] @ z.T).index_put((torch.arange(len(rows)), rows), torch.tensor(-2.0))
        votes = folder[near.topk(NEIGHBOURS).indices]
        shares[rows] = shares[rows].scatter_add(1, votes, torch.full(votes.shape, 1 / NEIGHBOURS))
    return shares


def by_centres(z: Tensor, directions: Tensor, own: Tensor, folder: Tensor) -> Tensor:
    """Softmax over the cosines to all folders' centres, the file itself left out of its own."""
    cosines = z @ normalize(directions, dim=-1).T
    cosines[torch.arange(len(z)), folder] = own
    return (cosines / TEMPERATURE).softmax(-1)


def plan() -> list[Run]:
    """All runs, in the order they are made; nothing is to be listed where no file is wrong."""
    trained = [Run(rate, arm, seed, method) for seed, method, rate, arm in product(SEEDS, METHODS, RATES, TRAINED)]
    controls = [Run(RATES[0], arm, seed, method) for seed, method, arm in product(SEEDS, METHODS, CONTROLS)]
    others = [Run(RATES[0], "none", ONCE, method) for method in OTHERS]
    untrained = [Run(rate, arm, seed) for seed, rate, arm in product(SEEDS, RATES, UNTRAINED)]
    known = [run for run in trained + untrained if run.rate or run.arm not in ("oracle", *UNTRAINED)]
    return [*known, *controls, *others]


def main(at_most: int | None) -> None:
    if find_spec("cleanlab") is None:
        sys.exit("This benchmark compares with cleanlab: pip install cleanlab (it is no dependency of uota).")
    make_missing(OUT, plan(), measure, at_most)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else None)
