"""Reading of weights saved by other programs, and loading them into a backbone under whatever prefix they have."""

import warnings
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from uota.console import printable
from uota.errors import UotaError

Weights = dict[str, Tensor]

# Keys under which checkpoints keep their state dict (DINO evaluates the teacher).
STATE_KEYS = ("state_dict", "model_state_dict", "model", "teacher", "net", "encoder", "backbone")
# Names of momentum copies. Of two copies that fit, that without these names, which gradients train, is loaded.
MOMENTUM_COPIES = ("momentum", "encoder_k", "target", "teacher", "ema", "moving")
# lightly and others cut a ResNet with `nn.Sequential(*resnet.children())`, which replaces names by positions.
CHILDREN = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}
FIRST_LAYERS = ("conv1.weight", "stem.0.weight", "patch_embed.proj.weight")
MARKERS = {*FIRST_LAYERS, "layer1.0.conv1.weight", "layer4.1.conv2.weight", "stages.3.conv1.weight"}
DEEPEST_PREFIX = 5
DEEPEST = 20  # levels of nested dictionaries
# Buffers of batch norms that must be finite.
STATISTICS = ("running_mean", "running_var")
RESNETS: dict[tuple[bool, tuple[int, ...]], str] = {
    (False, (2, 2, 2, 2)): "resnet18",
    (False, (3, 4, 6, 3)): "resnet34",
    (True, (3, 4, 6, 3)): "resnet50",
    (True, (3, 4, 23, 3)): "resnet101",
    (True, (3, 8, 36, 3)): "resnet152",
}


@dataclass(frozen=True)
class LoadReport:
    """The tensors of a file that were loaded into a backbone, and those that were not.

    Attributes:
        prefix: common prefix of the loaded tensors' names in the file.
        used: number of loaded tensors.
        unused: names of the other tensors.
    """

    prefix: str
    used: int
    unused: list[str]

    def __str__(self) -> str:
        below = f" below {self.prefix!r}" if self.prefix else ""
        named = ", ".join(map(printable, self.unused[:4])) + (" …" if len(self.unused) > 4 else "")
        return f"{self.used} tensors{below} loaded, {len(self.unused)} not needed" + (f": {named}" if named else "")


def read_weights(path: Path, pickle: bool = False, remedy: str = "add --pickle=true") -> Weights:
    """Read the tensors of a file written by torch or safetensors, even from nested dictionaries.

    Args:
        path: path of the file.
        pickle: allow a file that holds more than tensors, which can run any code.
        remedy: what a person does who trusts such a file.

    Raises:
        UotaError: the path is not a file of weights, or the file requires `pickle`.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():  # of old kinds of files, which say nothing that a user could act on
            warnings.simplefilter("ignore", UserWarning)
            content = torch.load(path, map_location="cpu", weights_only=not pickle)
    except UnpicklingError as error:
        if "safe_globals" in str(error):
            raise UotaError(
                f"{path} holds more than tensors, and reading it can run any code; if you trust its source, {remedy}"
            ) from error
        raise UotaError(f"{path} is not a file of weights, or it is damaged; give another file") from error
    except ImportError as error:
        raise UotaError(
            f"{path} was saved with {error.name}, which is not installed; install it, or save only the state dict"
        ) from error
    except PermissionError as error:
        raise UotaError(f"reading {path} is not permitted; ask its owner for access") from error
    except Exception as error:  # a damaged file, or code in a pickle, can raise anything
        raise UotaError(f"{path} is not a file of weights, or it is damaged; give another file") from error
    return _tensors_of(content, path)


def infer_backbone(weights: Weights, path: Path) -> str:
    """Return the name of the backbone that has these tensors, if it is a ResNet or `tiny`.

    Raises:
        UotaError: the backbone is another one.
    """
    _, names = _below_prefix(weights, MARKERS)
    if "stages.3.conv1.weight" in names and "stem.0.weight" in names:
        return "tiny"
    parts = (name.split(".") for name in names)
    blocks = Counter(stage for stage, *rest in parts if rest[1:] == ["conv1", "weight"])
    depths = tuple(blocks[f"layer{stage}"] for stage in (1, 2, 3, 4))
    found = RESNETS.get(("layer1.0.conv3.weight" in names, depths))
    if found is None:
        raise UotaError(
            f"the backbone of {path} cannot be inferred; name it, for example --backbone=vit_small_patch16_224"
        )
    return found


def first_kernel(weights: Weights) -> tuple[int, int]:
    """Return the input channels and the kernel size of the first layer; 3 and 7 if no known layer is found."""
    _, names = _below_prefix(weights, MARKERS)
    first = next((names[name] for name in FIRST_LAYERS if name in names), torch.empty(0, 3, 7, 7))
    return first.shape[1], first.shape[-1]


def load_weights(backbone: nn.Module, weights: Weights, path: Path, name: str) -> LoadReport:
    """Load all tensors of a backbone from weights, which may contain others.

    Args:
        backbone: network to load into.
        weights: result of `read_weights`.
        path: path of the file, for messages.
        name: name of the backbone, for messages.

    Raises:
        UotaError: tensors are missing, have other shapes, or are not finite.
    """
    wanted = backbone.state_dict()
    prefix, offered = _below_prefix(weights, wanted.keys())
    found = {key: tensor for key, tensor in offered.items() if key in wanted}
    learned = [key for key in wanted if not key.endswith("num_batches_tracked")]
    missing = [key for key in learned if key not in found]
    if len(found) < len(learned) / 10:
        examples = ", ".join(map(printable, list(weights)[:3]))
        raise UotaError(
            f"{path} has no tensors for {name} (its tensors are {examples}, …); set --backbone to the network that it "
            "was saved from"
        )
    other = next((key for key in learned if key in found and found[key].shape != wanted[key].shape), None)
    if other:
        raise UotaError(
            f"{path} does not fit {name}: {other} has shape {tuple(found[other].shape)} in the file and "
            f"{tuple(wanted[other].shape)} in the network; choose another --backbone, or another --views, "
            "which sets the channels and the size of images"
        )
    if missing:
        raise UotaError(
            f"{path} lacks {len(missing)} tensors of {name}, such as {missing[0]}; choose another --backbone"
        )
    check_finite(backbone, found, path)
    backbone.load_state_dict(wanted | found)
    kept = {id(tensor) for tensor in found.values()}
    return LoadReport(prefix, len(found), [key for key, tensor in weights.items() if id(tensor) not in kept])


def _is_plain(tensor: Any) -> bool:
    """Whether a value is a dense tensor of plain numbers, which a module can load."""
    if not isinstance(tensor, Tensor):
        return False
    return tensor.layout == torch.strided and not (tensor.is_quantized or tensor.is_meta or tensor.is_complex())


def _tensors_of(content: Any, path: Path, depth: int = 0) -> Weights:
    if isinstance(content, nn.Module):
        return content.state_dict()
    if isinstance(content, Mapping):
        inner = next((content[key] for key in STATE_KEYS if isinstance(content.get(key), Mapping | nn.Module)), None)
        if inner is not None and depth < DEEPEST:
            return _tensors_of(inner, path, depth + 1)
        tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
        if tensors:
            return tensors
    raise UotaError(
        f"{path} holds no tensors, neither at the top nor in {', '.join(STATE_KEYS)}; save it as a state dict"
    )


def _below_prefix(weights: Weights, wanted: Collection[str]) -> tuple[str, Weights]:
    """Return the prefix with the most wanted names below it, and the tensors there by their names without it."""
    parts = {tuple(key.split(".")[:depth]) for key in weights for depth in range(1, DEEPEST_PREFIX + 1)}
    prefixes = ["", *sorted(".".join(part) + "." for part in parts)]

    def fitness(prefix: str) -> tuple[int, bool, int]:
        fitting = sum(name in wanted for name in _below(weights, prefix))
        return fitting, not any(copy in prefix for copy in MOMENTUM_COPIES), -len(prefix)

    best = max(prefixes, key=fitness)
    return best, _below(weights, best)


def _below(weights: Weights, prefix: str) -> Weights:
    return {_canonical_name(key.removeprefix(prefix)): weights[key] for key in weights if key.startswith(prefix)}


def _canonical_name(key: str) -> str:
    first, dot, rest = key.partition(".")
    return CHILDREN.get(first, first) + dot + rest


def check_finite(module: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Require dense and finite weights; others would give meaningless features, which could still be ranked.

    Args:
        module: network that the weights are for; buffers other than batch norms' statistics may be infinite.
        weights: tensors by the names that they have in the module.
        path: path of their file, for messages.

    Raises:
        UotaError: a weight is NaN or infinite, or is not a dense tensor of real numbers; or a variance is negative.
    """
    learned = {name for name, _ in module.named_parameters()}
    checked = {name: each for name, each in weights.items() if name in learned or name.endswith(STATISTICS)}
    odd = [name for name, each in checked.items() if not _is_plain(each)]
    if odd:
        raise UotaError(
            f"{path} has weights that are not dense tensors of real numbers, such as {odd[0]}; save dense floats"
        )
    broken = [name for name, each in checked.items() if not bool(torch.isfinite(each).all())]
    if broken:
        raise UotaError(
            f"{path} has NaN or infinite values in {len(broken)} of {len(checked)} tensors, such as {broken[0]}: its "
            "training has diverged, or the file is damaged; give another checkpoint"
        )
    negative = [name for name, each in checked.items() if name.endswith("running_var") and bool((each < 0).any())]
    if negative:
        raise UotaError(
            f"{path} has a negative variance in {negative[0]}: the file is damaged; give another checkpoint"
        )
