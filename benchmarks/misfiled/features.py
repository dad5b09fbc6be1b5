"""Features of the pictures and texts, computed once and kept in a folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from benchmarks.misfiled.pictures import PICTURES
from benchmarks.misfiled.texts import TEXTS, embed
from uota.membership.eyes import default_eyes, file_features

FOLDER = Path("runs/misfiled-features")
DATA = (*PICTURES, *TEXTS)


class Featured(NamedTuple):
    """Features of members, by kind, and their true groups."""

    features: Mapping[str, Float[Tensor, "members _"]]
    group: Int64[Tensor, " members"]


def featured(data: str) -> Featured:
    """Return the features of a data set; they are computed if the folder does not have them."""
    file = FOLDER / f"{data.replace(' ', '-')}.pt"
    if not file.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        features, group = _compute(data)
        torch.save({"features": features, "group": group}, file)
    kept = torch.load(file, weights_only=True)
    return Featured(kept["features"], kept["group"])


def _compute(data: str) -> tuple[dict[str, Tensor], Tensor]:
    if data in TEXTS:
        texts = TEXTS[data]()
        return {"embedding": embed(texts.texts)}, _numbered(texts.group)
    pictures = PICTURES[data]()
    with torch.no_grad():
        return file_features(pictures.files, default_eyes(pictures.files)), _numbered(pictures.group)


def _numbered(names: list[str]) -> Tensor:
    number = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return torch.tensor([number[name] for name in names])
