"""Images on disk for the tests."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write an image into the test's folder: write("a/b.png", seed=1, size=(width, height), mode="RGB", **save)."""

    def written(name: str, seed: int = 0, size: tuple[int, int] = (12, 10), mode: str = "RGB", **save: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(noise).convert(mode).save(path, **save)
        return path

    return written
