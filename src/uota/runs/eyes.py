"""Frozen features by the encoder that a user names as eyes."""

from uota.encoders.encoder import Encoder
from uota.encoders.eyes import FrozenFeatures
from uota.encoders.pretrained import PRETRAINED
from uota.errors import UotaError
from uota.io.outputs import path_of
from uota.runs.encoder import load_encoder
from uota.settings.evaluation import EncoderSpec
from uota.settings.pretrain import OWN_EYES
from uota.views import ViewPreset


def open_frozen_features(name: str, preset: ViewPreset, backbone: str | None = None) -> FrozenFeatures:
    """Load an encoder as eyes.

    Args:
        name: whatever `load_encoder` takes.
        preset: preset of the views that it will see.
        backbone: network of a file of weights, if it cannot be inferred.

    Raises:
        UotaError: there is no such encoder, or it cannot see these views.
    """
    loaded = load_encoder(EncoderSpec(name, backbone))
    if not isinstance(loaded.encoder, Encoder):
        raise UotaError(f"{name} has an encoder of two networks, which cannot be used as eyes; choose another")
    if loaded.preset.channels == 1 and preset.channels == 3:
        raise UotaError(f"{name} is for grey images, and the views are in colour; choose other --eyes")
    return FrozenFeatures(loaded.encoder, loaded.preset.mean, loaded.preset.std, preset.mean, preset.std)


def located_eyes(eyes: str) -> str:
    """Return a value of the setting that is valid in every working directory."""
    named = eyes in ("auto", PRETRAINED, *OWN_EYES) or not path_of(eyes).exists()
    return eyes if named else str(path_of(eyes).absolute())
