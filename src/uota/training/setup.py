"""Build the arbiter, the sampler and the Lightning module of a run."""

from uota.arbitration import Arbiter, ViewSampler
from uota.encoders.sync_batchnorm import with_sync_batch_norm
from uota.methods.build import build_method, compile_encoders
from uota.settings.pretrain import Pretrain
from uota.training.module import Pretraining
from uota.views.presets import preset_of

# The released SwAV + UOTA code has τ = 350 at dimension 128.
TAU_PER_DIMENSION = 2.7


def build_arbiter(settings: Pretrain, dim: int) -> Arbiter | None:
    """The arbiter of a run, or None."""
    if settings.arbiter == "none":
        return None
    if settings.arbiter == "mahalanobis":
        tau = settings.tau if settings.tau is not None or settings.ess is not None else TAU_PER_DIMENSION * dim
        paper = {"ess": settings.ess, "anchors": settings.anchors, "covariance": settings.covariance}
        return Arbiter("mahalanobis", start=settings.start or 0.0, tau=tau, **paper)
    seed = {"seed": settings.seed} if settings.arbiter == "learned" else {}
    return Arbiter(settings.arbiter, start=settings.start or 0.0, **seed)


def build_sampler(settings: Pretrain) -> ViewSampler | None:
    """What chooses among candidate views, or None where all views are encoded."""
    if settings.candidates == 1:
        return None
    return ViewSampler([group.count for group in preset_of(settings).sizes], settings.seed)


def build_module(settings: Pretrain, total_steps: int) -> Pretraining:
    """The Lightning module of a run with decided settings."""
    method = build_method(settings)
    if settings.devices > 1 and settings.sync_batch_norm:
        with_sync_batch_norm(method)
    if settings.compile:
        compile_encoders(method)
    return Pretraining(method, build_arbiter(settings, method.dim), build_sampler(settings), settings, total_steps)
