"""What the arbiter of a run sees with, and which arbiter it is, where the settings leave that open."""

from uota.encoders.encoder import SMALL_IMAGE
from uota.encoders.pretrained import PRETRAINED
from uota.settings.pretrain import CHOSEN, OWN_EYES, Pretrain
from uota.training.cost import relative_cost
from uota.training.defaults import Choice
from uota.views import ViewPreset

# Most that the look of the default eyes may cost, relative to a step without it.
MOST = 0.6
# Arbiters that see the embeddings by default, as published, and those that are for frozen features.
OF_EMBEDDINGS, OF_FROZEN = ("two_groups", "mahalanobis", "none"), (CHOSEN, "cohort")


def choose_eyes(settings: Pretrain, preset: ViewPreset) -> list[Choice]:
    """Choose eyes, and the arbiter that goes with them.

    Args:
        settings: of the run, with its network.
        preset: of its views.
    """
    arbiter, asked = settings.arbitration.arbiter, settings.arbitration.eyes
    eyes = _eyes(settings, preset) if asked == "auto" else Choice("eyes", asked, "given")
    if arbiter != "auto":
        return [eyes]
    if eyes.value in OWN_EYES:
        return [eyes, Choice("arbiter", "learned", f"eyes {eyes.value}")]
    return [eyes, Choice("arbiter", CHOSEN, "by a trial with exchanged views")]


def _eyes(settings: Pretrain, preset: ViewPreset) -> Choice:
    arbiter = settings.arbitration.arbiter
    if arbiter in OF_EMBEDDINGS:
        return Choice("eyes", "embeddings", f"arbiter {arbiter}")
    if arbiter in OF_FROZEN:
        return Choice("eyes", PRETRAINED, f"arbiter {arbiter}")
    if arbiter == "auto":
        against = _reason_against(settings, preset)
        if against is None:
            return Choice("eyes", PRETRAINED, f"views of {preset.sizes[0].size} pixels")
    else:
        against = f"arbiter {arbiter}"
    if preset.across_images:  # thumbnails of two images of one thing differ in where it is
        return Choice("eyes", "features", f"views across the images of a group, {against}")
    return Choice("eyes", "thumbnails", against)


def _reason_against(settings: Pretrain, preset: ViewPreset) -> str | None:
    """Return why a run is better off without pretrained eyes; None: it is not."""
    size = preset.sizes[0]
    if size.size < SMALL_IMAGE:
        return f"views of {size.size} pixels"
    if size.grid:
        return "views that are parts of one crop"
    stages = settings.method.frozen_stages or 0
    cost = relative_cost(settings.method.backbone, preset.channels, size.size, stages)
    return None if cost <= MOST else f"pretrained eyes would add about {100 * cost:.0f} % to the time of a step"
