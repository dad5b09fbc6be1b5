"""A training without Lightning's Trainer, of any method and arbiter on small random pictures."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import torch

from uota.arbitration.strengths.two_groups import smoothing
from uota.data.memory import TensorSource
from uota.encoders.encoder import Encoder
from uota.encoders.eyes import FrozenFeatures
from uota.settings.pretrain import ArbitrationSettings, Pretrain
from uota.training.arbiter_choice import ArbiterChoice
from uota.training.frozen_eyes import FrozenEyes
from uota.training.module import Pretraining, StepOutput
from uota.training.resolve import resolve_auto
from uota.training.setup import build_arbiter, build_module, build_sampler
from uota.views import ViewPipeline, Views
from uota.views.presets import preset_of

# Number of images, of the step that is taken first, and of all steps: half of the training is over.
IMAGES, FIRST, TOTAL = 12, 501, 1000
# Settings of each arbiter of a run.
ARBITERS = {
    "none": {"arbiter": "none"},
    "learned": {"arbiter": "learned"},
    "learned on features": {"arbiter": "learned", "eyes": "both"},
    "two groups": {"arbiter": "two_groups"},
    "cohort": {"arbiter": "cohort", "eyes": "embeddings"},
    "cohort with frozen eyes": {"arbiter": "cohort"},
    "paper": {"arbiter": "mahalanobis", "start": 0.0},
    "paper by sample size": {"arbiter": "mahalanobis", "ess": 0.8, "start": 0.0},
    "paper shrunk": {"arbiter": "mahalanobis", "covariance": "oas", "start": 0.0},
    "sampler": {"arbiter": "none", "candidates": 2},
}
# What makes the memory of a method take part.
OPTIONS = {"swav": {"queue_length": 24, "queue_start": 0.0}, "cmc": {"negatives": 8, "images": IMAGES}}


@dataclass
class Training:
    """A training that takes steps; its `trainer` has what the package reads of Lightning's."""

    module: Pretraining
    views: Views
    optimizer: torch.optim.Optimizer
    trainer: SimpleNamespace

    def step(self) -> StepOutput:
        module = self.module
        module.on_train_batch_start(self.views, 0)
        output = module.training_step(self.views, 0)
        output["loss"].backward()
        module.on_before_optimizer_step(self.optimizer)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.trainer.global_step += 1
        return output

    def judge_by(self, **arbitration: object) -> None:
        """Replace the arbiter or sampler by another."""
        own = replace(self.module.settings, arbitration=ArbitrationSettings(**arbitration))
        self.module.settings = settings = _resolved(own)
        device = self.views.index.device
        arbiter, sampler = build_arbiter(settings, self.module.method.dim), build_sampler(settings)
        self.module.arbiter = None if arbiter is None else arbiter.to(device)
        self.module.sampler = None if sampler is None else sampler.to(device)
        frozen = arbitration == ARBITERS["cohort with frozen eyes"]
        self.module.eyes = frozen_eyes(self.views).to(device) if frozen else None
        self.views = views_of(settings).to(device)

    def tensors(self) -> list[torch.Tensor]:
        """Return everything that is on the device before a step."""
        views, eyes = self.views, self.module.eyes
        found = [*self.module.parameters(), *self.module.buffers(), *views.by_size, views.index, views.labels]
        found += [*([] if views.wrong is None else [views.wrong]), *vars(views.parameters).values()]
        found += [] if eyes is None else [*eyes.frozen.encoder.parameters(), *eyes.frozen.encoder.buffers()]
        own = [part.optimizer for part in self.module.modules() if hasattr(part, "optimizer")]
        for optimizer in (self.optimizer, *own):
            # Adam counts its steps on the host.
            found += [x for state in optimizer.state.values() for x in state.values() if torch.is_tensor(x) and x.dim()]
        return [*found, smoothing(views.index.device)]


def training_of(method: str, device: str = "cpu", **changes: object) -> Training:
    """Build the training of a method on small views."""
    grid = method == "cpc_v2"
    small = {"method": method, "views": "small-cpc" if grid else "small", "local_views": None if grid else 1}
    small |= {"backbone": "tiny", "batch_size": IMAGES, "steps": TOTAL, "arbiter": "none", "accelerator": "cpu"}
    settings = _resolved(Pretrain.from_flat(**small | {"method_options": OPTIONS.get(method, {})} | changes))
    module = build_module(settings, TOTAL).to(device).train()
    optimizer = module.configure_optimizers()
    trainer = SimpleNamespace(optimizers=[optimizer], global_step=FIRST, global_rank=0, world_size=1)
    trainer.current_epoch, trainer.loggers = 0, []
    module.trainer = trainer
    return Training(module, views_of(settings).to(device), optimizer, trainer)


def views_of(settings: Pretrain) -> Views:
    preset = preset_of(settings).with_candidates(settings.arbitration.candidates)
    views = ViewPipeline(preset, 0)(_source(), [(0, place) for place in range(IMAGES)])
    views.wrong = torch.rand(views.views, IMAGES, generator=torch.Generator().manual_seed(0)) < 0.2
    return views


def frozen_eyes(views: Views) -> FrozenEyes:
    torch.manual_seed(0)
    channels, ones = views.by_size[0].shape[2], [1.0] * views.by_size[0].shape[2]
    frozen = FrozenFeatures(Encoder("tiny", channels), ones, ones, ones, ones)
    widths = [each.shape[-1] for each in frozen([views.by_size[0][:1, :2]]).values()][:2]
    return FrozenEyes(frozen, ArbiterChoice("some", ["output", "last"], widths))


def _source() -> TensorSource:
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (IMAGES, 3, 32, 32), dtype=torch.uint8, generator=random)
    return TensorSource("random", pixels, torch.randint(4, (IMAGES,), generator=random))


def _resolved(settings: Pretrain) -> Pretrain:
    options = settings.method.options  # the number of classes, for example, is added
    return resolve_auto(settings, _source()).replace_flat(method_options=options | _classes(settings))


def _classes(settings: Pretrain) -> dict[str, int]:
    return {"classes": 4} if settings.method.name == "supervised" else {}
