"""The encoder of a run for other libraries: timm, torchvision, safetensors, ONNX."""

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

# Largest difference of an output, as a share of the largest output, that rounding in another order explains.
TOLERANCE = 1e-4
EXAMPLES = 2


def export(origin: EncoderSpec, to: str, out: Path) -> str:
    """Write an encoder; for timm and torchvision only if their network gives the same features with its weights.

    Args:
        origin: of the encoder.
        to: timm, torchvision, safetensors or onnx.
        out: the file.

    Returns:
        How to load it.

    Raises:
        UotaError: the library has no such network, or the file cannot be written.
    """
    check_writable(out)
    found = load_encoder(origin)
    check_output(out, data=found.settings.data if found.settings else None)
    with atomic_write(out) as unfinished, torch.no_grad():
        return EXPORTS[to](found, unfinished).replace(str(unfinished), str(out))


def _to_timm(found: LoadedEncoder, file: Path) -> str:
    name, options = found.backbone, _options(found)
    _require_alike(found, "timm", None if name == "tiny" else timm.create_model(name, **options))
    torch.save(_weights(found.encoder.backbone), file)
    told = "".join(f", {key}={value!r}" for key, value in options.items())
    return f"timm.create_model({name!r}{told}, checkpoint_path={str(file)!r})"


def _to_torchvision(found: LoadedEncoder, file: Path) -> str:
    name = found.backbone.split(".")[0]
    known = "resne" in name and name in torchvision.models.list_models(torchvision.models)
    twin = torchvision.models.get_model(name, weights=None) if known else None
    if twin is not None:
        twin.fc = nn.Identity()
    _require_alike(found, "torchvision", twin)
    torch.save(_weights(found.encoder.backbone), file)
    return (
        f"model = torchvision.models.{name}(); model.fc = torch.nn.Identity(); "
        f"model.load_state_dict(torch.load({str(file)!r}))"
    )


def _to_safetensors(found: LoadedEncoder, file: Path) -> str:
    whole = getattr(found.encoder, "backbone", found.encoder)
    preset = found.preset
    about = {"backbone": found.backbone, "channels": preset.channels, "mean": preset.mean, "std": preset.std}
    file.write_bytes(save(_weights(whole), {key: json.dumps(value) for key, value in about.items()}))
    return f"safetensors.torch.load_file({str(file)!r})"


def _to_onnx(found: LoadedEncoder, file: Path) -> str:
    if not (find_spec("onnx") and find_spec("onnxscript")):
        raise UotaError("ONNX files need onnx and onnxscript: pip install 'uota[onnx]'")
    encoder, example = found.encoder, _example(found)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about itself
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


def _require_alike(found: LoadedEncoder, library: str, twin: Any) -> None:
    """Refuse unless the library's network takes the weights and gives the same features."""
    remedy = "export it --to safetensors or onnx"
    if found.backbone == "tiny":
        raise UotaError(f"{found.name} has the backbone tiny, uota's own, which {library} does not know; {remedy}")
    if twin is None:
        raise UotaError(f"{library} has no network {found.backbone!r} with weights of the same names; {remedy}")
    if not isinstance(found.encoder, Encoder):
        raise UotaError(f"{found.name} has an encoder of two networks, which {library} has not; {remedy}")
    try:
        twin.load_state_dict(_weights(found.encoder.backbone))
    except RuntimeError as error:
        why = "it has a first layer for small images or for grey ones" if _is_small(found) else str(error)
        raise UotaError(f"{found.name} does not fit {library}'s {found.backbone}: {why}; {remedy}") from error
    example = _example(found)
    ours, theirs = found.encoder(example), twin.eval()(example)
    if ours.shape != theirs.shape or not torch.allclose(ours, theirs, atol=TOLERANCE * float(ours.abs().max())):
        raise UotaError(f"{library}'s {found.backbone} gives other features than {found.name}; {remedy}")


def _options(found: LoadedEncoder) -> dict[str, Any]:
    return timm_options(found.backbone, found.preset.channels, _size(found))


def _example(found: LoadedEncoder) -> Float[Tensor, "rows channels side side"]:
    """Noise of the size of an image to evaluate."""
    size = found.preset.evaluation_size
    return torch.randn(EXAMPLES, found.preset.channels, size, size, generator=torch.Generator().manual_seed(0))


def _weights(module: nn.Module) -> dict[str, Tensor]:
    return {key: tensor.detach().cpu().contiguous() for key, tensor in module.state_dict().items()}


def _size(found: LoadedEncoder) -> int:
    return found.preset.sizes[0].size


def _is_small(found: LoadedEncoder) -> bool:
    return _size(found) < SMALL_IMAGE or found.preset.channels != 3
