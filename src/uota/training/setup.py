"""Build the arbiter, the sampler and the Lightning module of a run."""

from collections.abc import Mapping

from torch import Tensor

from uota.arbitration import Arbiter, ViewSampler
from uota.encoders.sync_batchnorm import with_sync_batch_norm
from uota.methods.build import build_method, compile_encoders
from uota.settings.pretrain import Pretrain
from uota.training.module import Pretraining
from uota.views.presets import preset_of

# The released UOTA code for SwAV has τ = 350 at dimension 128.
TAU_PER_DIMENSION = 2.7


def build_arbiter(settings: Pretrain, dim: int) -> Arbiter | None:
    """Build the arbiter of a run; None if views are not weighed."""
    own = settings.arbitration
    if own.arbiter == "none":
        return None
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


def build_module(
    settings: Pretrain, total_steps: int, epoch_steps: int = 1, initial: Mapping[str, Tensor] | None = None
) -> Pretraining:
    """Build the Lightning module of a run, whose settings hold no `auto`.

    Args:
        settings: of the run.
        total_steps: number of steps of the whole run.
        epoch_steps: number of steps of a pass over the images; without training it does not matter.
        initial: weights that the backbone starts from; None: random ones.
    """
    method = build_method(settings, initial)
    arbiter, sampler = build_arbiter(settings, method.dim), build_sampler(settings)
    module = Pretraining(method, arbiter, sampler, settings, total_steps, epoch_steps)
    network = module.get_submodule("method")
    if settings.runtime.devices > 1 and settings.method.sync_batch_norm:
        with_sync_batch_norm(network)
    if settings.runtime.compile:
        compile_encoders(network)
    module.train()  # new batch norms, too, follow which statistics are kept
    return module
