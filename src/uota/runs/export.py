"""Export of encoders to timm, torchvision, safetensors and ONNX."""

import json
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from jaxtyping import Float
from safetensors.torch import save
from torch import Tensor, nn

from uota.encoders.encoder import SMALL_IMAGE, Encoder, timm_options
from uota.errors import UotaError
from uota.io.atomic import atomic_write
from uota.io.outputs import check_writable
from uota.runs.encoder import LoadedEncoder, load_encoder
from uota.runs.folder import check_output
from uota.settings.evaluation import EncoderSpec

# Largest difference between two outputs, relative to the largest output, that floating-point rounding can explain.
TOLERANCE = 1e-4
EXAMPLES = 2


def export(spec: EncoderSpec, to: str, out: Path) -> str:
    """Write an encoder; for timm and torchvision, first check that their network gives the same features.

    Args:
        spec: the encoder to export.
        to: timm, torchvision, safetensors or onnx.
        out: file to write.

    Returns:
        Python code that loads the file.

    Raises:
        UotaError: the library has no such network, or the file cannot be written.
    """
    check_writable(out)
    loaded = load_encoder(spec)
    check_output(out, data=loaded.settings.data.source if loaded.settings else None)
    with atomic_write(out) as unfinished, torch.no_grad():
        return EXPORTS[to](loaded, unfinished).replace(str(unfinished), str(out))


def libraries_for(spec: EncoderSpec) -> list[str]:
    """Return which of timm and torchvision have the network of an encoder, so that `export` can write it for them.

    Raises:
        UotaError: there is no such encoder.
    """
    loaded = load_encoder(spec)
    return [library for library in TWINS if _has_twin(loaded, library)]


def _has_twin(loaded: LoadedEncoder, library: str) -> bool:
    try:
        with torch.no_grad():
            _require_same_features(loaded, library)
    except UotaError:
        return False
    return True


def _to_timm(loaded: LoadedEncoder, file: Path) -> str:
    _require_same_features(loaded, "timm")
    torch.save(_weights(loaded.encoder.backbone), file)
    arguments = "".join(f", {key}={value!r}" for key, value in _options(loaded).items())
    return f"timm.create_model({loaded.backbone!r}{arguments}, checkpoint_path={str(file)!r})"


def _to_torchvision(loaded: LoadedEncoder, file: Path) -> str:
    _require_same_features(loaded, "torchvision")
    torch.save(_weights(loaded.encoder.backbone), file)
    return (
        f"model = torchvision.models.{_short_name(loaded)}(); model.fc = torch.nn.Identity(); "
        f"model.load_state_dict(torch.load({str(file)!r}))"
    )


def _to_safetensors(loaded: LoadedEncoder, file: Path) -> str:
    whole = getattr(loaded.encoder, "backbone", loaded.encoder)
    preset = loaded.preset
    about = {"backbone": loaded.backbone, "channels": preset.channels, "mean": preset.mean, "std": preset.std}
    file.write_bytes(save(_weights(whole), {key: json.dumps(value) for key, value in about.items()}))
    return f"safetensors.torch.load_file({str(file)!r})"


def _to_onnx(loaded: LoadedEncoder, file: Path) -> str:
    if not (find_spec("onnx") and find_spec("onnxscript")):
        raise UotaError("ONNX files need onnx and onnxscript: pip install 'uota[onnx]'")
    encoder, example = loaded.encoder, _example(loaded)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's deprecation warnings about itself
        torch.onnx.export(
            encoder,
            (example,),
            file,
            input_names=["images"],
            output_names=["features"],
            dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
            external_data=False,
            dynamo=True,
            verbose=False,
        )
    return f"onnxruntime.InferenceSession({str(file)!r}).run(None, {{'images': images}})"


EXPORTS: dict[str, Callable[[LoadedEncoder, Path], str]] = {
    "timm": _to_timm,
    "torchvision": _to_torchvision,
    "safetensors": _to_safetensors,
    "onnx": _to_onnx,
}


def _timm_twin(loaded: LoadedEncoder) -> nn.Module:
    return timm.create_model(loaded.backbone, **_options(loaded))


def _torchvision_twin(loaded: LoadedEncoder) -> nn.Module | None:
    name = _short_name(loaded)
    if "resne" not in name or name not in torchvision.models.list_models(torchvision.models):
        return None
    twin = torchvision.models.get_model(name, weights=None)
    twin.fc = nn.Identity()
    return twin


# The same network as an encoder's in other libraries; None: they have none.
TWINS: dict[str, Callable[[LoadedEncoder], nn.Module | None]] = {
    "timm": _timm_twin,
    "torchvision": _torchvision_twin,
}


def _require_same_features(loaded: LoadedEncoder, library: str) -> None:
    """Require that the library has a network that takes the weights and gives the same features."""
    remedy = "export it --to safetensors or onnx"
    if loaded.backbone == "tiny":
        raise UotaError(f"{loaded.name} has the backbone tiny, uota's own, which {library} does not know; {remedy}")
    twin = TWINS[library](loaded)
    if twin is None:
        raise UotaError(f"{library} has no network {loaded.backbone!r} with weights of the same names; {remedy}")
    if not isinstance(loaded.encoder, Encoder):
        raise UotaError(f"{loaded.name} has an encoder of two networks, which {library} does not have; {remedy}")
    try:
        twin.load_state_dict(_weights(loaded.encoder.backbone))
    except RuntimeError as error:
        why = "it has a first layer for small or grey images" if _is_small(loaded) else str(error)
        raise UotaError(f"{loaded.name} does not fit {library}'s {loaded.backbone}: {why}; {remedy}") from error
    example = _example(loaded)
    ours, theirs = loaded.encoder(example), twin.eval()(example)
    if ours.shape != theirs.shape or not torch.allclose(ours, theirs, atol=TOLERANCE * float(ours.abs().max())):
        raise UotaError(f"{library}'s {loaded.backbone} gives other features than {loaded.name}; {remedy}")


def _short_name(loaded: LoadedEncoder) -> str:
    """Return the name of the backbone without that of its weights."""
    return loaded.backbone.split(".")[0]


def _options(loaded: LoadedEncoder) -> dict[str, Any]:
    return timm_options(loaded.backbone, loaded.preset.channels, _size(loaded))


def _example(loaded: LoadedEncoder) -> Float[Tensor, "rows channels side side"]:
    """Return noise images of the evaluation size."""
    size = loaded.preset.evaluation_size
    return torch.randn(EXAMPLES, loaded.preset.channels, size, size, generator=torch.Generator().manual_seed(0))


def _weights(module: nn.Module) -> dict[str, Tensor]:
    return {key: tensor.detach().cpu().contiguous() for key, tensor in module.state_dict().items()}


def _size(loaded: LoadedEncoder) -> int:
    return loaded.preset.sizes[0].size


def _is_small(loaded: LoadedEncoder) -> bool:
    return _size(loaded) < SMALL_IMAGE or loaded.preset.channels != 3
