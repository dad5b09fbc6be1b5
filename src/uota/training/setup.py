"""Build the arbiter, the sampler and the Lightning module of a run."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor

from uota.arbitration import Arbiter, ViewSampler
from uota.encoders.checkpointing import checkpoint_activations
from uota.encoders.sync_batchnorm import with_sync_batch_norm
from uota.errors import UotaError
from uota.methods.build import build_method, compile_method
from uota.runs.eyes import open_frozen_features
from uota.runs.run import Run, load_part
from uota.settings.pretrain import CHOSEN, Pretrain
from uota.training.arbiter_choice import ArbiterChoice, read_choice
from uota.training.frozen_eyes import FrozenEyes
from uota.training.module import Pretraining
from uota.views.presets import preset_of

# The released UOTA code for SwAV has τ = 350 at dimension 128.
TAU_PER_DIMENSION = 2.7


def build_arbiter(settings: Pretrain, dim: int) -> Arbiter | None:
    """Build the arbiter of a run; None if views are not weighed."""
    own = settings.arbitration
    if own.arbiter == "none":
        return None
    if own.arbiter == CHOSEN:
        return Arbiter("cohort", start=own.start or 0.0)  # until a trial chooses
    if own.arbiter == "mahalanobis":
        tau = own.tau if own.tau is not None or own.ess is not None else TAU_PER_DIMENSION * dim
        paper = {"ess": own.ess, "anchors": own.anchors, "covariance": own.covariance}
        return Arbiter("mahalanobis", start=own.start or 0.0, tau=tau, **paper)
    seed = {"seed": settings.runtime.seed} if own.arbiter == "learned" else {}
    return Arbiter(own.arbiter, start=own.start or 0.0, **seed)


def build_sampler(settings: Pretrain) -> ViewSampler | None:
    """Build the sampler of candidate views; None if all views are encoded."""
    if settings.arbitration.candidates == 1:
        return None
    return ViewSampler([size.count for size in preset_of(settings).sizes], settings.runtime.seed)


def build_eyes(settings: Pretrain) -> FrozenEyes | None:
    """Build the frozen eyes of a run, not fitted to any views; None if the arbiter sees what the run computes anyway.

    Raises:
        UotaError: there are no such eyes.
    """
    own = settings.arbitration
    return FrozenEyes(open_frozen_features(own.eyes, preset_of(settings))) if own.has_frozen_eyes else None


@contextmanager
def translate_missing_compiler() -> Iterator[None]:
    """Translate what torch.compile raises on a machine without the compiler that it needs.

    Raises:
        UotaError: there is none.
    """
    try:
        yield
    except RuntimeError as error:
        if "InvalidCxxCompiler" not in repr(error):
            raise
        raise UotaError(
            "compile is set, and there is no C++ compiler; install one, such as g++, or leave compile out"
        ) from error


def _make_fast(module: Pretraining, settings: Pretrain) -> None:
    """Trade time for memory or memory for time, as the settings say.

    Raises:
        UotaError: they say both, or the backbone has no blocks that can be computed again.
    """
    own = settings.runtime
    if own.compile and own.checkpoint_activations:
        raise UotaError(
            "compile and checkpoint_activations are both set, and a compiler itself decides what to compute again; "
            "leave one of them out"
        )
    network = module.get_submodule("method")
    if own.checkpoint_activations:
        checkpoint_activations(network)
    if own.compile:
        compile_method(network, own.ranks)
        for part in module.modules():
            if isinstance(part, Arbiter) and own.ranks == 1:
                part.compile()


def load_module(run: Run, settings: Pretrain) -> Pretraining:
    """Build the module of a run and load its checkpoint.

    Args:
        run: the run.
        settings: the run's, without `auto`.

    Raises:
        UotaError: a file of the run is missing or damaged, or its frozen eyes are gone.
    """
    choice = read_choice(run.arbiter_file) if settings.arbitration.has_frozen_eyes else None
    module = build_module(settings, total_steps=1, choice=choice)
    load_part(module, run)
    return module


def build_module(
    settings: Pretrain,
    total_steps: int,
    epoch_steps: int = 1,
    initial: Mapping[str, Tensor] | None = None,
    choice: ArbiterChoice | None = None,
) -> Pretraining:
    """Build the Lightning module of a run, whose settings hold no `auto`.

    Args:
        settings: of the run.
        total_steps: number of steps of the whole run.
        epoch_steps: number of steps of a pass over the images; without training it does not matter.
        initial: weights that the backbone starts from; None: random ones.
        choice: what the arbiter with frozen eyes is; None: `ArbiterTrial` finds out.
    """
    method = build_method(settings, initial)
    arbiter, sampler = build_arbiter(settings, method.dim), build_sampler(settings)
    module = Pretraining(method, arbiter, sampler, settings, total_steps, epoch_steps, build_eyes(settings))
    if choice is not None:
        module.take_choice(choice)
    network = module.get_submodule("method")
    if settings.runtime.ranks > 1 and settings.method.sync_batch_norm:
        with_sync_batch_norm(network)
    _make_fast(module, settings)
    module.train()  # new batch norms, too, follow which statistics are kept
    return module
