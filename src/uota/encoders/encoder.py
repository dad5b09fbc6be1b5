"""Encoders: any timm model by name, with a stem for small images, and a small ResNet for use on a CPU."""

from collections.abc import Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import timm
import torch
from jaxtyping import Float
from timm.models.resnet import BasicBlock, Bottleneck
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from uota.encoders.pretrained import NETWORK, load_embedded_weights
from uota.errors import UotaError

# Images below this side, in pixels, need a stem that keeps the resolution; the usual one shrinks them fourfold.
SMALL_IMAGE = 64
TINY_WIDTHS = (16, 32, 64, 128)
EARLY_SIDE = 4  # side to which early maps are pooled for an arbiter
# Whether all views share batch statistics (joint), or each view has its own over the batch (per_view).
BatchNorm = Literal["joint", "per_view"]


@runtime_checkable
class FeatureEncoder(Protocol):
    """The interface of an encoder that methods need: features of a known width, and an early map for the arbiter."""

    width: int

    def with_early_map(
        self, images: Float[Tensor, "rows channels height width"]
    ) -> tuple[Float[Tensor, "rows features"], Float[Tensor, "rows early h w"]]:
        """Return pooled features, and the feature map from before the middle of the network."""
        ...


class TinyResNet(nn.Module):
    """A 3×3 stem and four basic blocks of widths 16, 32, 64, 128; trains on 3,000 small views per second and core."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        width = TINY_WIDTHS[0]
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        inputs = (width, *TINY_WIDTHS[:-1])
        self.stages = nn.ModuleList(
            _basic_block(a, b, 1 if a == b else 2) for a, b in zip(inputs, TINY_WIDTHS, strict=True)
        )
        self.num_features = TINY_WIDTHS[-1]

    def forward_intermediates(
        self, images: Float[Tensor, "rows channels height width"], indices: list[int]
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the last feature map and those after the stages in `indices`, as timm's models do."""
        x, kept = self.stem(images), []
        for stage, block in enumerate(self.stages):
            x = block(x)
            if stage in indices:
                kept.append(x)
        return x, kept

    def forward_head(self, x: Tensor, pre_logits: bool = True) -> Tensor:
        return x.mean((2, 3))


class Encoder(nn.Module):
    """An encoder that maps each image to one feature vector, with an early feature map for the arbiter.

    Args:
        name: "tiny" or the name of a timm model, whose state dict is used unchanged.
        channels: number of channels of the images, 1 or 3.
        image_size: side of the largest view, in pixels; below 64 the model gets a stem that keeps the resolution.
        pretrained: whether to load the weights that timm publishes under this name, which it downloads; those of
            tf_efficientnet_lite0 are installed along with this package.
    """

    def __init__(self, name: str = "tiny", channels: int = 3, image_size: int = 224, pretrained: bool = False) -> None:
        super().__init__()
        # timm's models have `forward_intermediates` and `forward_head`, but no common type that declares them.
        self.backbone: Any
        self.backbone = TinyResNet(channels) if name == "tiny" else _timm_model(name, channels, image_size, pretrained)
        # `forward_head` returns the hidden layer of a head that has one.
        self.width: int = int(getattr(self.backbone, "head_hidden_size", None) or self.backbone.num_features)
        self.stages = len(getattr(self.backbone, "feature_info", ())) or len(TINY_WIDTHS)
        self.early_stage = (self.stages - 1) // 2
        self._frozen: list[str] = []
        self._frozen_norms = False

    def freeze(self, stages: int, norms: bool) -> None:
        """Keep the weights of the first stages, and the statistics of their batch norms or of all.

        Args:
            stages: number of stages, as timm counts a model's feature maps; all before the end of the last is kept.
            norms: whether all batch norms use their running statistics, in training too; their scales still learn.

        Raises:
            UotaError: the network has fewer stages.
        """
        if stages > self.stages:
            raise UotaError(f"frozen_stages is {stages}, and the backbone has {self.stages} stages; lower it")
        names = [name for name, _ in self.backbone.named_modules()]  # in the order of the layers
        end = 1 + max(place for place, name in enumerate(names) if self._is_in_stage(name, stages - 1)) if stages else 0
        for name in names[:end]:
            for parameter in self.backbone.get_submodule(name).parameters(recurse=False):
                parameter.requires_grad_(False)
        self._frozen, self._frozen_norms = names[:end], norms
        self.train(self.training)

    def _is_in_stage(self, name: str, stage: int) -> bool:
        info = getattr(self.backbone, "feature_info", None)
        prefix = info[stage]["module"] if info else f"stages.{stage}"
        return name == prefix or name.startswith(f"{prefix}.")

    def train(self, mode: bool = True) -> "Encoder":
        """Set the mode, except of batch norms whose statistics are kept."""
        super().train(mode)
        for name, module in self.backbone.named_modules():
            if isinstance(module, _BatchNorm) and (self._frozen_norms or name in self._frozen):
                module.eval()
        return self

    def forward(self, images: Float[Tensor, "rows channels height width"]) -> Float[Tensor, "rows features"]:
        return self.with_early_map(images)[0]

    def with_early_map(
        self, images: Float[Tensor, "rows channels height width"]
    ) -> tuple[Float[Tensor, "rows features"], Float[Tensor, "rows early h w"]]:
        """Return pooled features, and the feature map from before the middle of the network."""
        last, early = self.backbone.forward_intermediates(images, indices=[self.early_stage])
        return self.backbone.forward_head(last, pre_logits=True), early[0]

    def maps(self, images: Float[Tensor, "rows channels height width"]) -> list[Float[Tensor, "rows _ _ _"]]:
        """Return the feature maps after all stages, the finest first."""
        return self.backbone.forward_intermediates(images, indices=list(range(self.stages)))[1]


def _basic_block(inputs: int, width: int, stride: int) -> BasicBlock:
    shortcut = None
    if inputs != width:
        shortcut = nn.Sequential(nn.Conv2d(inputs, width, 1, stride, bias=False), nn.BatchNorm2d(width))
    return BasicBlock(inputs, width, stride=stride, downsample=shortcut)


def scale_last_norms(encoder: nn.Module, scale: float) -> None:
    """Set the scale of the last batch norm in each residual block of a ResNet; at 0 blocks start as the identity.

    Raises:
        UotaError: the encoder is not a ResNet.
    """
    blocks: list[Any] = [module for module in encoder.modules() if isinstance(module, BasicBlock | Bottleneck)]
    if not blocks:
        raise UotaError("zero_init_last is set, but the backbone has no residual blocks of a ResNet; leave it out")
    for block in blocks:
        last: Any = block.bn3 if isinstance(block, Bottleneck) else block.bn2
        nn.init.constant_(last.weight, scale)


def timm_options(name: str, channels: int, image_size: int) -> dict[str, Any]:
    """Return the arguments of `timm.create_model` other than the name."""
    options: dict[str, Any] = {"num_classes": 0, "in_chans": channels}
    if "vit" in name:
        # Multi-crop has views of two sizes, which require position embeddings that adapt to the size.
        options |= {"dynamic_img_size": True, "img_size": image_size}
        options |= {"patch_size": 4} if image_size < SMALL_IMAGE else {}
    return options


def _timm_model(name: str, channels: int, image_size: int, pretrained: bool) -> nn.Module:
    if not timm.is_model(name):
        near = timm.list_models(f"*{name}*")[:5] or [
            "resnet18",
            "resnet50",
            "convnext_tiny",
            "vit_small_patch16_224",
        ]
        raise UotaError(f"there is no backbone {name!r}; use 'tiny' or a timm model, for example {', '.join(near)}")
    try:
        embedded = pretrained and name == NETWORK
        model = timm.create_model(
            name, pretrained=pretrained and not embedded, **timm_options(name, channels, image_size)
        )
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        if pretrained and not isinstance(error, TypeError):  # the weights failed to load, which the caller explains
            raise
        raise UotaError(
            f"backbone {name!r} cannot be built for {channels} channels: {error}; choose another, e.g. resnet18"
        ) from error
    if embedded:
        load_embedded_weights(model)
    if not hasattr(model, "forward_intermediates"):
        raise UotaError(f"backbone {name!r} does not return feature maps; choose another timm model, e.g. resnet18")
    if image_size < SMALL_IMAGE and "vit" not in name:
        _keep_resolution_in_stem(model)
    return model


def _keep_resolution_in_stem(model: Any) -> None:
    """Remove the stride of the first convolution; ResNets get the 3×3 stem without pooling that is usual for CIFAR."""
    if isinstance(getattr(model, "maxpool", None), nn.Module) and isinstance(getattr(model, "conv1", None), nn.Conv2d):
        old = model.conv1
        model.conv1 = nn.Conv2d(old.in_channels, old.out_channels, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
        model.maxpool = nn.Identity()
        return
    first = next((module for module in model.modules() if isinstance(module, nn.Conv2d)), None)
    if first is not None:
        first.stride = (1, 1)


def encode(
    encoder: FeatureEncoder, by_size: list[Float[Tensor, "_ batch channels _ _"]], batch_norm: BatchNorm = "joint"
) -> tuple[Float[Tensor, "views batch features"], list[Tensor]]:
    """Compute the features of all views, and the early maps of each size.

    Args:
        encoder: encoder of images.
        by_size: views, one tensor per size.
        batch_norm: "joint" makes one forward pass per size, "per_view" one per view.
    """
    features, early = [], []
    for views in by_size:
        parts = [encoder.with_early_map(images_of(part)) for part in parts_by_statistics(views, batch_norm)]
        pooled, maps = (join_parts(each).unflatten(0, views.shape[:2]) for each in zip(*parts, strict=True))
        features.append(pooled)
        early.append(maps)
    return torch.cat(features), early


def parts_by_statistics(views: Float[Tensor, "views batch *rest"], batch_norm: BatchNorm) -> tuple[Tensor, ...]:
    """Split views into parts (views, batch, …), each of which passes a network at once and shares batch statistics."""
    return views.split(1) if batch_norm == "per_view" else (views,)


def join_parts(parts: Sequence[Tensor]) -> Tensor:
    """Concatenate parts along their first axis; a single part is not copied."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def images_of(views: Float[Tensor, "views batch channels height width"]) -> Float[Tensor, "rows channels height width"]:
    """Flatten several views to a batch of images in channels-last layout, which convolutions process fastest."""
    return views.flatten(0, 1).contiguous(memory_format=torch.channels_last)
