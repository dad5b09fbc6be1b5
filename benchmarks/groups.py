"""What arbitration is worth for folders with misfiled files: python -m benchmarks.groups [RUNS]  (an hour on 2 cores)

Each of 1,000 garments of the demo is photographed eight times: in another place, at another angle and size, beside
another neighbour, in another light. A share of the photographs is then misfiled, each in the folder of another garment.
Two things are measured: the accuracy of the trained encoder (on garments that it has not seen, with labels of what a
photograph really shows), and the average precision of the list of misfiled files, as made by the package and by two
baselines:

    centre    distance to the mean of the folder's other files, the better of cosine and Euclidean
    cleanlab  its label quality, from the folders of the 10 nearest neighbours or the distances to the folders' centres

The baselines use pixels, an untrained encoder and the trained encoder. They need cleanlab (pip install cleanlab), which
the package does not. Runs that have no line in benchmarks/results/groups.jsonl are made, two at a time on one core
each; RUNS limits their number.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from importlib.util import find_spec
from itertools import product
from typing import Any, NamedTuple

import torch
from sklearn.metrics import average_precision_score
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.accuracy import accuracy, top1
from benchmarks.command_line import RESULTS, make_parser, parse, positive, start
from benchmarks.lines import make_missing
from benchmarks.worth.arms import ARMS
from benchmarks.worth.run import Training
from uota.data import Groups, SceneOptions, open_source
from uota.data.memory import TensorSource
from uota.evaluation import encoder_features, pixel_features
from uota.membership.members import score_members
from uota.membership.misfile import misfile
from uota.methods.build import build_method
from uota.recipes import recipe
from uota.settings.pretrain import Pretrain
from uota.training.resolve import resolve_auto
from uota.views import ViewPipeline, ViewPreset, Views
from uota.views.presets import preset_of

OUT = RESULTS / "groups.jsonl"


class Size(NamedTuple):
    """How large a run is.

    Attributes:
        garments: folders to train on.
        photographs: files of each garment.
        tests: garments to test on.
        epochs: passes over the folders.
        batch: folders per step.
    """

    garments: int = 1000
    photographs: int = 8
    tests: int = 2000
    epochs: int = 16
    batch: int = 64


FULL = Size()
TINY = Size(garments=24, photographs=4, tests=48, epochs=1, batch=12)
LIGHT = (0.4, 1.0)
SCENE = SceneOptions(canvas=40, radius=(0.3, 0.45), other_scale=(0.4, 0.6))
RATES, SEEDS = (0.25, 0.1, 0.0), (0, 1, 2)
METHODS, OTHERS, ONCE = ("simclr", "swav"), ("barlow_twins", "moco_v2", "simsiam", "byol"), 0
TRAINED = ("none", "learned-thumbnails", "learned-features", "oracle")
UNTRAINED = ("pixels", "untrained")
# At the highest rate: other weights, weights without information, and a second loss without weights.
CONTROLS = ("learned-both", "paper", "shuffled", "auxiliary")
NEIGHBOURS, TEMPERATURE = 10, 0.1


class Run(NamedTuple):
    """The fields that identify a line of results."""

    rate: float
    arm: str
    seed: int
    method: str = "swav"


class Archive(NamedTuple):
    """Photographs in folders.

    Attributes:
        groups: the folders.
        wrong: (files,), True for those that show a garment other than their folder's.
        train, test: photographs with labels of what they show.
    """

    groups: Groups
    wrong: Tensor
    train: TensorSource
    test: TensorSource


def archive(rate: float, seed: int, size: Size = FULL) -> Archive:
    """Photograph the garments, and move a share of the files to the folder of another garment each."""
    garments = size.garments
    pixels, labels, classes = photographs("train", seed, size.photographs)
    files = TensorSource("photographs", pixels[:garments].transpose(0, 1).flatten(0, 1).contiguous())
    # File f shows garment f mod `garments`.
    folder = torch.arange(garments).repeat(size.photographs)
    members = [torch.nonzero(folder == garment)[:, 0].tolist() for garment in range(garments)]
    groups, wrong = misfile(Groups(files, members), rate, seed)
    train = TensorSource("train", pixels[:garments, 0], labels[:garments], classes)
    return Archive(groups, wrong, train, TensorSource("test", *seen_once(seed, size.tests)))


def seen_once(seed: int, count: int) -> tuple[Tensor, Tensor, list[str]]:
    """Return one photograph of each test garment, of 2,000 at most."""
    pixels, labels, classes = photographs("test", seed, 1)
    return pixels[:count, 0], labels[:count], classes


@cache
def photographs(split: str, seed: int, count: int) -> tuple[Tensor, Tensor, list[str]]:
    """Return pixels (garments, count, 1, side, side), labels and classes; each photograph is a scene of its own."""
    shots = [replace(SCENE, seed=100 * seed + number) for number in range(count)]
    scenes = [open_source("demo-scenes", split, scenes=shot) for shot in shots]
    pixels = torch.stack([scene.pixels for scene in scenes], dim=1)
    random = torch.Generator().manual_seed(seed)
    low, high = LIGHT
    light = low + (high - low) * torch.rand(*pixels.shape[:2], 1, 1, 1, generator=random)
    return (pixels * light).round().to(torch.uint8), scenes[0].labels, scenes[0].classes


class Knowing(NamedTuple):
    """A view pipeline that marks the views of misfiled files as wrong."""

    pipeline: ViewPipeline
    wrong: Tensor

    def __call__(self, source: Groups, samples: list[tuple[int, int]]) -> Views:
        views = self.pipeline(source, samples)
        return replace(views, wrong=self.wrong[views.parameters.image])


def measure(run: Run, size: Size = FULL) -> dict[str, Any]:
    """Make a run and return its line of results."""
    data = archive(run.rate, run.seed, size)
    plain = recipe(f"{run.method}_demo")
    settings = plain.replace_flat(
        views="groups", epochs=size.epochs, batch_size=size.batch, seed=run.seed, arbiter="none"
    )
    settings = resolve_auto(settings, data.groups)
    found = of_pixels if run.arm == "pixels" else of_untrained if run.arm == "untrained" else of_trained
    return run._asdict() | {"epochs": size.epochs} | found(run, data, settings)


def of_trained(run: Run, data: Archive, settings: Pretrain) -> dict[str, Any]:
    """Train a method; evaluate its encoder, and the lists of files that it gives."""
    preset = preset_of(settings)
    training = Training(settings, ARMS[run.arm], data.groups, preset)
    training.pipeline = Knowing(training.pipeline, data.wrong)  # type: ignore[assignment]
    list(training.parts(1))
    method = training.module.method.eval()
    told = {f"training_{name}": value for name, value in training.told().items()}
    return accuracy(method.encoder, data.train, data.test, preset) | told | by_features(method, data, preset)


def of_untrained(run: Run, data: Archive, settings: Pretrain) -> dict[str, Any]:
    """Evaluate an untrained encoder, and the lists that it gives."""
    method = build_method(settings).eval()
    preset = preset_of(settings)
    return accuracy(method.encoder, data.train, data.test, preset) | by_features(method, data, preset)


def of_pixels(run: Run, data: Archive, settings: Pretrain) -> dict[str, Any]:
    """Evaluate pixels without an encoder, and the lists that they give."""
    preset = preset_of(settings)
    x = pixel_features(labelled(data.groups.files), preset).x
    found = top1(*(pixel_features(source, preset) for source in (data.train, data.test)))
    return found | listed(data, x) | average_precision(data, **baselines(x, data))


def listed(data: Archive, x: Tensor) -> dict[str, float]:
    """Evaluate the package's list by features of the files: its average precision, and its estimate of the rate."""
    folder = folders(data, len(x))
    found = score_members({"output": x}, folder)
    suspicion = torch.tensor(found.worst_first()).argsort().neg()
    return {"listed_rate": round(found.share, 4)} | average_precision(data, outliers=suspicion)


def by_features(method: Any, data: Archive, preset: ViewPreset) -> dict[str, float]:
    """Evaluate the lists made of an encoder's features of whole photographs."""
    x = encoder_features(method.encoder, labelled(data.groups.files), preset).x
    return listed(data, x) | average_precision(data, **baselines(x, data))


def labelled(files: TensorSource) -> TensorSource:
    """Add placeholder labels, since features are computed of labelled sources only."""
    return TensorSource(files.name, files.pixels, torch.zeros(len(files), dtype=torch.int64), ["file"])


def average_precision(data: Archive, **suspicion: Tensor) -> dict[str, float]:
    """Return the average precision of each suspicion for misfiled files; nothing if no file is misfiled."""
    if not data.wrong.any():
        return {}
    return {f"ap_{name}": round(average_precision_score(data.wrong, of), 4) for name, of in suspicion.items()}


def baselines(x: Tensor, data: Archive) -> dict[str, Tensor]:
    """Return the suspicions of the baselines, which have features (files, dim) and no arbiter; high is suspicious."""
    folder = folders(data, len(x))
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


def folders(data: Archive, files: int) -> Tensor:
    """Return the number of each file's folder."""
    folder = torch.empty(files, dtype=torch.int64)
    for number, group in enumerate(data.groups.members):
        folder[list(group)] = number
    return folder


def label_quality(folder: Tensor, probabilities: Tensor) -> Tensor:
    """Return cleanlab's label quality, given labels and out-of-sample probabilities (files, folders)."""
    from cleanlab.rank import get_label_quality_scores

    return torch.from_numpy(get_label_quality_scores(folder.numpy(), probabilities.numpy()))


def by_neighbours(z: Tensor, folder: Tensor) -> Tensor:
    """Return the share of the nearest other files that lie in each folder."""
    shares = torch.zeros(len(z), int(folder.max()) + 1)
    for rows in torch.arange(len(z)).split(1024):
        near = (z[rows] @ z.T).index_put((torch.arange(len(rows)), rows), torch.tensor(-2.0))
        votes = folder[near.topk(NEIGHBOURS).indices]
        shares[rows] = shares[rows].scatter_add(1, votes, torch.full(votes.shape, 1 / NEIGHBOURS))
    return shares


def by_centres(z: Tensor, directions: Tensor, own: Tensor, folder: Tensor) -> Tensor:
    """Return the softmax over the cosines to all folders' centres; a file does not count in its own."""
    cosines = z @ normalize(directions, dim=-1).T
    cosines[torch.arange(len(z)), folder] = own
    return (cosines / TEMPERATURE).softmax(-1)


def plan() -> list[Run]:
    """Return all runs in their order; if no file is misfiled, only runs that train are made."""
    trained = [Run(rate, arm, seed, method) for seed, method, rate, arm in product(SEEDS, METHODS, RATES, TRAINED)]
    controls = [Run(RATES[0], arm, seed, method) for seed, method, arm in product(SEEDS, METHODS, CONTROLS)]
    others = [Run(RATES[0], "none", ONCE, method) for method in OTHERS]
    untrained = [Run(rate, arm, seed) for seed, rate, arm in product(SEEDS, RATES, UNTRAINED)]
    known = [run for run in trained + untrained if run.rate or run.arm not in ("oracle", *UNTRAINED)]
    return [*known, *controls, *others]


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the runs that have no line yet."""
    parser = make_parser("groups", __doc__)
    parser.add_argument("runs", nargs="?", type=positive, metavar="RUNS", help="make at most this many runs")
    asked = parse(parser, arguments, OUT)
    if find_spec("cleanlab") is None:
        parser.error("cleanlab, which this benchmark compares with, is not installed; pip install cleanlab")
    if asked.tiny:
        runs = [Run(RATES[0], arm, seed=0) for arm in ("learned-features", *UNTRAINED)]
        make_missing(asked.out, runs, partial(measure, size=TINY), processes=1)
    else:
        make_missing(asked.out, plan(), measure, asked.runs)


if __name__ == "__main__":
    start(main)
