"""The published recipes at their real size: python -m benchmarks.on_device.recipes FILE [tiny] [RECIPE...]

Each `uota/recipes/*_imagenet.yaml` as one device runs it: its backbone, heads, views of the published sizes (random
numbers, already in memory) and its share of the batch, in bf16, without and with an arbiter. A line per recipe and
arbiter goes to FILE: losses of a first step and of one at 60 % of the training, images per second of forward, backward
and optimiser, the arbiter's share of a step, peak memory. Then a small version's first step in float32, on the card and
on the CPU: how far losses and gradients are apart. `tiny`: all is small, so that a CPU can run it.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from uota.data import TensorSource
from uota.methods import Step
from uota.methods.build import find_method
from uota.recipes import recipe, recipe_names
from uota.settings.pretrain import Pretrain
from uota.training.arbiter_inputs import arbiter_input
from uota.training.module import Pretraining
from uota.training.resolve import resolve_auto
from uota.training.setup import build_arbiter, build_module
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
class Clock:
    """What the training step asks of Lightning's Trainer."""

    optimizers: list[torch.optim.Optimizer]
    global_step: int = 0
    global_rank: int = 0
    world_size: int = 1


@dataclass
class Training:
    """One device's share of a recipe, ready to take steps."""

    module: Pretraining
    views: Any
    clock: Clock
    precision: str

    @classmethod
    def of(cls, settings: Pretrain, device: torch.device, size: Callable[[int], int]) -> "Training":
        """Built from decided settings, whose batch is this device's; `size` says of how many pixels views are."""
        module = build_module(settings, settings.epochs * IMAGES // settings.batch_size).to(device).train()
        clock = Clock([module.configure_optimizers()])
        module.trainer = clock  # type: ignore[assignment]
        return cls(module, random_views(settings, device, size), clock, settings.precision)

    def autocast(self) -> torch.autocast:
        """As Lightning does in the run's precision."""
        device = self.views.by_size[0].device.type
        return torch.autocast(device, torch.bfloat16, enabled=self.precision == "bf16")

    def backward(self) -> float:
        """Loss of a step; its gradients stay at the parameters."""
        self.module.on_train_batch_start(self.views, 0)
        with self.autocast():
            loss = self.module.training_step(self.views, 0)["loss"]
        self.clock.optimizers[0].zero_grad()
        loss.backward()
        return float(loss.detach())

    def step(self) -> float:
        """Loss of a whole step, the optimiser's included."""
        loss = self.backward()
        (optimizer,) = self.clock.optimizers
        self.module.on_before_optimizer_step(optimizer)
        optimizer.step()
        return loss


def names() -> list[str]:
    """All published recipes, those of the paper first."""
    return sorted(recipe_names("_imagenet"), key=lambda name: [f"{first}_imagenet" != name for first in FIRST])


def arms(settings: Pretrain) -> Iterator[Pretrain]:
    """Without and with arbiters that weigh from the first step on; a recipe that has one keeps it.

    One view has nothing to be compared with.
    """
    if settings.arbiter != "none":
        yield replace(settings, start=0.0)
        return
    for arbiter in ARBITERS if preset_of(settings).views > 1 else ARBITERS[:1]:
        yield replace(settings, arbiter=arbiter, start=None if arbiter == "none" else 0.0)


def of_one_device(settings: Pretrain) -> Pretrain:
    """One device's share of a recipe, in bf16."""
    own = replace(settings, devices=1, batch_size=settings.batch_size // settings.devices, precision="bf16")
    return resolve_auto(replace(own, accelerator="auto"), SOURCE)


def small(settings: Pretrain, backbone: str) -> Pretrain:
    """The same method with a small network, heads and batch in float32, for views of `small_size`."""
    options = find_method(settings.method).small | ({"classes": CLASSES} if settings.method == "supervised" else {})
    network = {"backbone": backbone, "batch_size": SMALL_BATCH, "method_options": options}
    return replace(settings, precision="32", **network)  # type: ignore[arg-type]


def small_size(size: int) -> int:
    """Side of a small version of a view."""
    return max(32, size * 2 // 7)


def random_views(settings: Pretrain, device: torch.device, size: Callable[[int], int]) -> Any:
    """Views of the preset's counts; the same numbers on every device."""
    random = torch.Generator().manual_seed(0)
    batch = settings.batch_size
    groups = [
        torch.randn(group.count, batch, 3, size(group.size), size(group.size), generator=random)
        for group in preset_of(settings).sizes
    ]
    labels, index = (torch.randint(most, (batch,), generator=random).to(device) for most in (CLASSES, IMAGES))
    return SimpleNamespace(by_size=[group.to(device) for group in groups], labels=labels, index=index)


def measure(settings: Pretrain, device: torch.device, size: Callable[[int], int]) -> Iterator[dict[str, Any]]:
    """A row per arbiter. The network is built once, and keeps learning from one to the next."""
    arbitrated = [resolve_auto(each, SOURCE) for each in arms(settings)]  # type: ignore[arg-type]
    training = Training.of(arbitrated[0], device, size)
    for each in arbitrated:
        training.module.settings = each
        arbiter = build_arbiter(each, training.module.method.dim)
        training.module.arbiter = None if arbiter is None else arbiter.to(device)
        row = {"arbiter": each.arbiter, "batch": each.batch_size}
        try:
            yield row | steps(training, device)
        except Exception as error:  # go on with the next arbiter
            yield row | {"error": first_line(error)}


def steps(training: Training, device: torch.device) -> dict[str, Any]:
    """Two losses, times and memory of one arbiter's steps."""
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
    """Of looking at the views of a step and weighing them; None without an arbiter."""
    module = training.module
    arbiter = module.arbiter
    if arbiter is None:
        return None
    step = Step(training.clock.global_step, LATE, training.views.labels)
    with training.autocast():
        with torch.no_grad():
            embedded = module.method.embed(training.views.by_size, step)
        return timed(lambda: arbiter(arbiter_input(module.settings.look, embedded), LATE), device)


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Median seconds of one call, until the device has done its work."""
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
    """Difference of a small version's first step on a device from that on the CPU, both in float32."""
    (loss, gradient), (wanted, wanted_gradient) = (first_step(settings, each) for each in (device, torch.device("cpu")))
    apart = abs(loss - wanted) / max(abs(wanted), 1.0)  # SimSiam begins about 0
    gradients = float((gradient - wanted_gradient).norm() / wanted_gradient.norm())
    equal = apart <= LOSS_TOLERANCE and gradients <= GRADIENT_TOLERANCE
    return {"loss": round(wanted, 6), "loss_apart": apart, "gradients_apart": gradients, "equal": equal}


def first_step(settings: Pretrain, device: torch.device) -> tuple[float, Tensor]:
    """Loss and all gradients, in one row on the CPU."""
    training = Training.of(settings, device, small_size)
    loss = training.backward()
    gradients = [each.grad.flatten() for each in training.module.method.parameters() if each.grad is not None]
    return loss, torch.cat(gradients).cpu()


def first_line(error: Exception) -> str:
    """The kind of an error and the first line of its message."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"


def rows_of(name: str, device: torch.device, tiny: bool) -> Iterator[dict[str, Any]]:
    """All rows of a recipe."""
    settings = of_one_device(recipe(name))
    less = small(settings, "tiny" if tiny else "resnet18")
    real = less if tiny else settings
    for row in measure(real, device, small_size if tiny else int):
        yield {"part": "recipe", "recipe": name, "device": name_of(device), **row}
    tf32, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, False
    yield {"part": "float32", "recipe": name, "device": name_of(device), **compare(less, device)}
    torch.backends.cudnn.allow_tf32 = tf32


def name_of(device: torch.device) -> str:
    """The name of the card, or cpu."""
    return torch.cuda.get_device_name() if device.type == "cuda" else "cpu"


def main(file: str, *words: str) -> None:
    tiny, asked = "tiny" in words, [word for word in words if word != "tiny"]
    device = torch.device("cuda" if torch.cuda.is_available() and not tiny else "cpu")
    with Path(file).open("a") as lines:
        for name in asked or names():
            try:
                for row in rows_of(name, device, tiny):
                    print(json.dumps(row), file=lines, flush=True)
            except Exception as error:  # go on with the next recipe
                row = {"part": "recipe", "recipe": name, "device": name_of(device), "error": first_line(error)}
                print(json.dumps(row), file=lines, flush=True)
            if device.type == "cuda":
                torch.cuda.empty_cache()


if __name__ == "__main__":
    main(*sys.argv[1:])
