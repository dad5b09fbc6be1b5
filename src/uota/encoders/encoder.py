"""Encoders: any timm model by name, with a stem for small images, and a small ResNet for work on a CPU."""

from collections.abc import Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import timm
import torch
from jaxtyping import Float
from timm.models.resnet import BasicBlock, Bottleneck
from torch import Tensor, nn

from uota.errors import UotaError

# Below this many pixels a stem that shrinks the image fourfold leaves too little of it.
SMALL_IMAGE = 64
TINY_WIDTHS = (16, 32, 64, 128)
EARLY_SIDE = 4  # to which early maps are averaged, for an arbiter to look at
# Whether the views of an image share batch statistics (joint), or each view has its own over the batch (per_view).
BatchNorm = Literal["joint", "per_view"]


@runtime_checkable
class FeatureEncoder(Protocol):
    """What a method asks of its encoder: features of a known width, and an early map for an arbiter to look at."""

    width: int

    def with_early_map(
        self, images: Float[Tensor, "rows channels height width"]
    ) -> tuple[Float[Tensor, "rows features"], Float[Tensor, "rows early h w"]]:
        """Pooled features, and the feature map from before the middle of the network."""
        ...


class TinyResNet(nn.Module):
    """A 3×3 stem and four basic blocks of width 16, 32, 64, 128: 3,000 small views a second and core, both ways."""

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
        """The last feature map and those after the stages in `indices`, as timm's models give them."""
        x, kept = self.stem(images), []
        for stage, block in enumerate(self.stages):
            x = block(x)
            if stage in indices:
                kept.append(x)
        return x, kept

    def forward_head(self, x: Tensor, pre_logits: bool = True) -> Tensor:
        return x.mean((2, 3))


class Encoder(nn.Module):
    """Images to one feature vector each, and the early feature map that an arbiter may look at.

    Args:
        name: "tiny", or any timm model; `uota` adds nothing to its weights.
        channels: of the images, 1 or 3.
        image_size: of the largest view, in pixels; below 64 the model gets a stem that keeps the resolution.
        pretrained: with the weights that timm publishes under this name, which are downloaded.
    """

    def __init__(self, name: str = "tiny", channels: int = 3, image_size: int = 224, pretrained: bool = False) -> None:
        super().__init__()
        # timm promises `forward_intermediates` and `forward_head` of its models, not their type.
        self.backbone: Any
        self.backbone = TinyResNet(channels) if name == "tiny" else _timm_model(name, channels, image_size, pretrained)
        # Where a head has a hidden layer, that is what it pools to.
        self.width: int = int(getattr(self.backbone, "head_hidden_size", None) or self.backbone.num_features)
        self.stages = len(getattr(self.backbone, "feature_info", ())) or len(TINY_WIDTHS)
        self.early_stage = (self.stages - 1) // 2

    def forward(self, images: Float[Tensor, "rows channels height width"]) -> Float[Tensor, "rows features"]:
        return self.with_early_map(images)[0]

    def with_early_map(
        self, images: Float[Tensor, "rows channels height width"]
    ) -> tuple[Float[Tensor, "rows features"], Float[Tensor, "rows early h w"]]:
        """Pooled features, and the feature map from before the middle of the network."""
        last, early = self.backbone.forward_intermediates(images, indices=[self.early_stage])
        return self.backbone.forward_head(last, pre_logits=True), early[0]

    def maps(self, images: Float[Tensor, "rows channels height width"]) -> list[Float[Tensor, "rows _ _ _"]]:
        """The feature maps after all stages, the finest first."""
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
        raise UotaError("zero_init_last is set and the backbone has no residual blocks of a ResNet; leave it out")
    for block in blocks:
        last: Any = block.bn3 if isinstance(block, Bottleneck) else block.bn2
        nn.init.constant_(last.weight, scale)


def timm_options(name: str, channels: int, image_size: int) -> dict[str, Any]:
    """What `timm.create_model` is told besides the name."""
    options: dict[str, Any] = {"num_classes": 0, "in_chans": channels}
    if "vit" in name:
        # Multi-crop brings views of two sizes, which needs position embeddings that follow the size.
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
        model = timm.create_model(name, pretrained=pretrained, **timm_options(name, channels, image_size))
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        if pretrained and not isinstance(error, TypeError):  # of the weights, of which the caller says more
            raise
        raise UotaError(f"backbone {name!r} cannot be built for {channels} channels: {error}") from error
    if not hasattr(model, "forward_intermediates"):
        raise UotaError(f"backbone {name!r} does not give feature maps; choose another timm model, e.g. resnet18")
    if image_size < SMALL_IMAGE and "vit" not in name:
        _keep_resolution_in_stem(model)
    return model


def _keep_resolution_in_stem(model: Any) -> None:
    """ResNets as usual for CIFAR: a 3×3 stem without stride or pooling. Others: no stride in the first convolution."""
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
    encoder: FeatureEncoder, groups: list[Float[Tensor, "_ batch channels _ _"]], batch_norm: BatchNorm = "joint"
) -> tuple[Float[Tensor, "views batch features"], list[Tensor]]:
    """Features of all views, and the early maps of each size.

    Args:
        encoder: of images.
        groups: views, a tensor for each size.
        batch_norm: joint: one forward pass per size; per_view: one per view.
    """
    features, early = [], []
    for views in groups:
        made = [encoder.with_early_map(images_of(part)) for part in parts_by_statistics(views, batch_norm)]
        pooled, maps = (join_parts(each).unflatten(0, views.shape[:2]) for each in zip(*made, strict=True))
        features.append(pooled)
        early.append(maps)
    return torch.cat(features), early


def parts_by_statistics(views: Float[Tensor, "views batch *rest"], batch_norm: BatchNorm) -> tuple[Tensor, ...]:
    """Split views into parts (views, batch, …) that go through a network together and share batch statistics."""
    return views.split(1) if batch_norm == "per_view" else (views,)


def join_parts(parts: Sequence[Tensor]) -> Tensor:
    """Concatenate parts along their first axis; a single part is not copied."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def images_of(views: Float[Tensor, "views batch channels height width"]) -> Float[Tensor, "rows channels height width"]:
    """The images of several views in a row, as convolutions read them fastest."""
    return views.flatten(0, 1).contiguous(memory_format=torch.channels_last)
