"""The published recipes at their real size: python -m benchmarks.on_device.recipes FILE [RECIPE...] [--tiny]

Each `uota/recipes/*_imagenet.yaml` is run as on one of its devices: with its backbone, heads, views of the published
sizes (random numbers in memory) and its share of the batch, in bf16, without and with an arbiter. A line per recipe and
arbiter is appended to FILE: losses of the first step and of one at 60 % of the training, images per second of forward,
backward and optimiser, the arbiter's share of a step, peak memory. Then the first step of a small version is computed
in float32 on the accelerator and on the CPU, and the difference of losses and gradients is written. With --tiny
everything is small enough for a CPU.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from benchmarks.command_line import make_parser, start
from uota.data import TensorSource
from uota.methods import Step
from uota.methods.build import find_method
from uota.recipes import recipe, recipe_names
from uota.settings.pretrain import Pretrain
from uota.training.module import Pretraining
from uota.training.resolve import resolve_auto
from uota.training.setup import build_arbiter, build_module
from uota.views import Views
from uota.views.presets import preset_of

IMAGES, CLASSES = 1_281_167, 1000  # of ImageNet
ARBITERS = ("none", "mahalanobis", "learned")
FIRST = ("swav", "swav_uota", "swav_learned", "moco_v2", "simsiam", "byol", "barlow_twins", "simclr")
LATE = 0.6  # of the training, when all that starts on the way has started
WARM_UP, TIMED = 3, 10  # steps
SMALL_BATCH = 8
# In float32, of a loss and of all gradients together (relative).
LOSS_TOLERANCE, GRADIENT_TOLERANCE = 1e-4, 1e-2


class ImageNet(TensorSource):
    """A stand-in for ImageNet: the number, labels and channels of its images, but no images."""

    def __init__(self) -> None:
        super().__init__("random", torch.zeros(CLASSES, 3, 1, 1, dtype=torch.uint8), torch.arange(CLASSES))

    def __len__(self) -> int:
        return IMAGES


SOURCE = ImageNet()


@dataclass
class RandomViews(Views):
    """Views of random numbers, which have no parameters."""

    parameters: None


@dataclass
class Clock:
    """The attributes of Lightning's Trainer that the training step reads."""

    optimizers: list[torch.optim.Optimizer]
    global_step: int = 0
    global_rank: int = 0
    world_size: int = 1


@dataclass
class Training:
    """One device's share of a recipe, ready to take steps."""

    module: Pretraining
    views: RandomViews
    clock: Clock
    precision: str

    @classmethod
    def of(cls, settings: Pretrain, device: torch.device, size: Callable[[int], int]) -> "Training":
        """Build it from resolved settings with the batch of this device; `size` converts the side of a view."""
        epoch_steps = IMAGES // settings.optimization.batch_size
        total = settings.optimization.total_steps(epoch_steps)
        module = build_module(settings, total, epoch_steps).to(device).train()
        clock = Clock([module.configure_optimizers()])
        module.trainer = clock  # type: ignore[assignment]
        return cls(module, random_views(settings, device, size), clock, settings.runtime.precision)

    def autocast(self) -> torch.autocast:
        """Return the autocast context that Lightning uses for the precision."""
        device = self.views.by_size[0].device.type
        return torch.autocast(device, torch.bfloat16, enabled=self.precision == "bf16")

    def backward(self) -> float:
        """Return the loss of a step, and leave its gradients in the parameters."""
        self.module.on_train_batch_start(self.views, 0)
        with self.autocast():
            loss = self.module.training_step(self.views, 0)["loss"]
        self.clock.optimizers[0].zero_grad()
        loss.backward()
        return float(loss.detach())

    def step(self) -> float:
        """Take a whole step, including the optimiser's, and return its loss."""
        loss = self.backward()
        (optimizer,) = self.clock.optimizers
        self.module.on_before_optimizer_step(optimizer)
        optimizer.step()
        return loss


def names() -> list[str]:
    """Return all published recipes, those of the paper first."""
    return sorted(recipe_names("_imagenet"), key=lambda name: [f"{first}_imagenet" != name for first in FIRST])


def arms(settings: Pretrain) -> Iterator[Pretrain]:
    """Yield the settings without and with arbiters that are active from the first step; a recipe's own arbiter is kept.

    With a single view per image there is nothing to arbitrate.
    """
    if settings.arbitration.arbiter != "none":
        yield settings.replace_flat(start=0.0)
        return
    for arbiter in ARBITERS if preset_of(settings).views > 1 else ARBITERS[:1]:
        yield settings.replace_flat(arbiter=arbiter, start=None if arbiter == "none" else 0.0)


def of_one_device(settings: Pretrain) -> Pretrain:
    """Return the settings of one device's share of a recipe, in bf16."""
    own = settings.replace_flat(
        devices=1, batch_size=settings.optimization.batch_size // settings.runtime.devices, precision="bf16"
    )
    return resolve_auto(own.replace_flat(accelerator="auto"), SOURCE)


def small(settings: Pretrain, backbone: str) -> Pretrain:
    """Return settings of the same method with a small network, heads and batch in float32, for small views."""
    options = find_method(settings.method.name).small | (
        {"classes": CLASSES} if settings.method.name == "supervised" else {}
    )
    network = {"backbone": backbone, "batch_size": SMALL_BATCH, "method_options": options}
    return settings.replace_flat(precision="32", **network)  # type: ignore[arg-type]


def small_size(size: int) -> int:
    """Return the side of the small version of a view."""
    return max(32, size * 2 // 7)


def random_views(settings: Pretrain, device: torch.device, size: Callable[[int], int]) -> RandomViews:
    """Make random views in the preset's counts; the numbers are the same on every device."""
    random = torch.Generator().manual_seed(0)
    batch = settings.optimization.batch_size
    groups = [
        torch.randn(group.count, batch, 3, size(group.size), size(group.size), generator=random)
        for group in preset_of(settings).sizes
    ]
    labels, index = (torch.randint(most, (batch,), generator=random).to(device) for most in (CLASSES, IMAGES))
    return RandomViews([group.to(device) for group in groups], None, index, wrong=None, labels=labels)


def measure(settings: Pretrain, device: torch.device, size: Callable[[int], int]) -> Iterator[dict[str, Any]]:
    """Yield a row per arbiter; the network is built once and keeps learning from one to the next."""
    arbitrated = [resolve_auto(each, SOURCE) for each in arms(settings)]  # type: ignore[arg-type]
    training = Training.of(arbitrated[0], device, size)
    for each in arbitrated:
        training.module.settings = each
        arbiter = build_arbiter(each, training.module.method.dim)
        training.module.arbiter = None if arbiter is None else arbiter.to(device)
        row = {"arbiter": each.arbitration.arbiter, "batch": each.optimization.batch_size}
        try:
            yield row | steps(training, device)
        except Exception as error:  # go on with the next arbiter
            yield row | {"error": first_line(error)}


def steps(training: Training, device: torch.device) -> dict[str, Any]:
    """Measure two losses, the times and the memory of one arbiter's steps."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    training.clock.global_step = 0
    losses = [training.step()]
    training.clock.global_step = int(LATE * training.module.total_steps)
    losses.append(training.step())
    seconds = timed(training.step, device)
    judging = arbiter_seconds(training, device)
    row = {"losses": [round(loss, 4) for loss in losses], "finite": all(map(isfinite, losses))}
    row |= {"step_seconds": round(seconds, 5), "images_per_second": round(len(training.views.labels) / seconds, 1)}
    row |= {"arbiter_share": None if judging is None else round(judging / seconds, 4)}
    return row | {"peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if device.type == "cuda" else None}


def arbiter_seconds(training: Training, device: torch.device) -> float | None:
    """Measure the seconds in which the arbiter computes its input and weights; None without an arbiter."""
    module = training.module
    arbiter = module.arbiter
    if arbiter is None:
        return None
    step = Step(training.clock.global_step, LATE, training.views.labels)
    with training.autocast():
        with torch.no_grad():
            embedded = module.method.embed(training.views.by_size, step)
        return timed(lambda: arbiter(module.arbiter_features(embedded), LATE), device)


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Return the median seconds of a call, measured until the device has finished."""
    taken = []
    warm_up, count = (WARM_UP, TIMED) if device.type == "cuda" else (0, 2)
    for _ in range(warm_up + count):
        wait(device)
        began = time.perf_counter()
        work()
        wait(device)
        taken.append(time.perf_counter() - began)
    return median(taken[warm_up:])


def wait(device: torch.device) -> None:
    """Wait until the device has finished."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def compare(settings: Pretrain, device: torch.device) -> dict[str, Any]:
    """Compare a small version's first step on a device with that on the CPU, both in float32."""
    (loss, gradient), (wanted, wanted_gradient) = (first_step(settings, each) for each in (device, torch.device("cpu")))
    apart = abs(loss - wanted) / max(abs(wanted), 1.0)  # SimSiam begins about 0
    gradients = float((gradient - wanted_gradient).norm() / wanted_gradient.norm())
    equal = apart <= LOSS_TOLERANCE and gradients <= GRADIENT_TOLERANCE
    return {"loss": round(wanted, 6), "loss_apart": apart, "gradients_apart": gradients, "equal": equal}


def first_step(settings: Pretrain, device: torch.device) -> tuple[float, Tensor]:
    """Return the loss and all gradients of the first step, as one vector on the CPU."""
    training = Training.of(settings, device, small_size)
    loss = training.backward()
    gradients = [each.grad.flatten() for each in training.module.method.parameters() if each.grad is not None]
    return loss, torch.cat(gradients).cpu()


def first_line(error: Exception) -> str:
    """Return the type of an error and the first line of its message."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"


def rows_of(name: str, device: torch.device, tiny: bool) -> Iterator[dict[str, Any]]:
    """Yield all rows of a recipe."""
    settings = of_one_device(recipe(name))
    less = small(settings, "tiny" if tiny else "resnet18")
    real = less if tiny else settings
    for row in measure(real, device, small_size if tiny else int):
        yield {"part": "recipe", "recipe": name, "device": name_of(device), **row}
    tf32, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, False
    yield {"part": "float32", "recipe": name, "device": name_of(device), **compare(less, device)}
    torch.backends.cudnn.allow_tf32 = tf32


def name_of(device: torch.device) -> str:
    """Return the name of the accelerator, or cpu."""
    return torch.cuda.get_device_name() if device.type == "cuda" else "cpu"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure recipes, and append their lines."""
    parser = make_parser("on_device.recipes", __doc__, measures=False)
    parser.add_argument("file", type=Path)
    parser.add_argument("recipes", nargs="*", default=[], metavar="RECIPE", help="default: all published ones")
    parser.add_argument("--tiny", action="store_true", help="make everything small enough for a CPU")
    asked = parser.parse_args(arguments)
    if unknown := [name for name in asked.recipes if name not in names()]:
        parser.error(f"there is no recipe {unknown[0]!r}; choose among {', '.join(names())}")
    device = torch.device("cuda" if torch.cuda.is_available() and not asked.tiny else "cpu")
    with asked.file.open("a") as lines:
        for name in asked.recipes or names():
            try:
                for row in rows_of(name, device, asked.tiny):
                    print(json.dumps(row), file=lines, flush=True)
            except Exception as error:  # go on with the next recipe
                row = {"part": "recipe", "recipe": name, "device": name_of(device), "error": first_line(error)}
                print(json.dumps(row), file=lines, flush=True)
            if device.type == "cuda":
                torch.cuda.empty_cache()


if __name__ == "__main__":
    start(main)
