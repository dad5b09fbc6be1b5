"""The eyes that a user names: frozen features of views or of files, by an encoder or by a module."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from uota.encoders.encoder import Encoder
from uota.encoders.eyes import FrozenFeatures
from uota.encoders.pretrained import PRETRAINED
from uota.errors import UotaError
from uota.io.outputs import path_of
from uota.runs.encoder import LoadedEncoder, is_encoder, load_encoder
from uota.settings.evaluation import EncoderSpec
from uota.settings.pretrain import OWN_EYES
from uota.views import ViewPreset

THUMBNAILS = "thumbnails"
# What may be given as eyes, for messages.
KINDS = (
    "auto, pretrained, thumbnails, the name of a timm model such as resnet50, a file of weights, or a run's folder "
    "(in pretraining also features, both or embeddings)"
)


def load_eyes(name: str, backbone: str | None = None) -> LoadedEncoder:
    """Load the encoder that is named as eyes.

    Args:
        name: whatever `load_encoder` takes.
        backbone: network of a file of weights, if it cannot be inferred.

    Raises:
        UotaError: there is no such encoder.
    """
    if not is_encoder(name):
        raise UotaError(f"there are no eyes {name}; give {KINDS}")
    return load_encoder(EncoderSpec(name, backbone))


def open_frozen_features(name: str, preset: ViewPreset, backbone: str | None = None) -> FrozenFeatures:
    """Load an encoder as eyes for views, as `load_eyes` does.

    Raises:
        UotaError: there is no such encoder, or it cannot see views of this preset.
    """
    return frozen_features(load_eyes(name, backbone), preset)


def frozen_features(loaded: LoadedEncoder, preset: ViewPreset) -> FrozenFeatures:
    """Return the features that an encoder computes of images that are normalised as a preset says.

    Raises:
        UotaError: it cannot see such images.
    """
    own = loaded.preset
    if not isinstance(loaded.encoder, Encoder):
        raise UotaError(f"{loaded.name} has an encoder of two networks, which cannot be used as eyes; give {KINDS}")
    if own.channels == 1 and preset.channels == 3:
        raise UotaError(f"{loaded.name} is for grey images, and the views are in colour; give {KINDS} as eyes")
    return FrozenFeatures(loaded.encoder, own.mean, own.std, preset.mean, preset.std)


def module_features(model: Any) -> Callable[[Float[Tensor, "rows channels height width"]], Float[Tensor, "rows dim"]]:
    """Return a function that computes the outputs of any callable on batches of images, a module's in eval mode.

    Raises:
        UotaError: it is not callable; and on a call, if it cannot compute features of the images.
    """
    if not callable(model):
        raise UotaError(
            f"eyes are neither a name nor a module; give {KINDS}, "
            "or a module from a batch of images to rows of features"
        )
    if isinstance(model, nn.Module):
        model.eval()

    @torch.no_grad()
    def compute(images: Tensor) -> Tensor:
        try:
            features: Tensor = model(images).flatten(1).float()
        except Exception as error:  # a third-party module may raise anything
            raise UotaError(
                f"the model cannot compute features of images of shape {tuple(images.shape)}: "
                f"{type(error).__name__}: {error}; give a module from a batch of images to rows of features"
            ) from error
        return features

    return compute


def located_eyes(eyes: str) -> str:
    """Return a value of the setting that is valid in every working directory."""
    named = eyes in ("auto", PRETRAINED, *OWN_EYES) or not path_of(eyes).exists()
    return eyes if named else str(path_of(eyes).absolute())
