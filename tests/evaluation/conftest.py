import pytest
import torch

from uota.data.memory import TensorSource
from uota.encoders.encoder import Encoder
from uota.evaluation.subject import LabelledEncoder
from uota.runs.encoder import LoadedEncoder
from uota.settings.pretrain import Pretrain
from uota.views import PRESETS


@pytest.fixture
def textures():
    """Grey pictures of 12 × 12 pixels in four classes: flat, horizontal lines, vertical lines, and checks."""

    def make(count, seed=0):
        random = torch.Generator().manual_seed(seed)
        labels = torch.arange(count) % 4
        row, column = torch.arange(12)[:, None] // 3 % 2, torch.arange(12) // 3 % 2
        patterns = torch.stack([torch.ones(12, 12), row.expand(12, 12), column.expand(12, 12), row ^ column])
        pixels = 150 * patterns[labels][:, None] + torch.randint(0, 100, (count, 1, 12, 12), generator=random)
        return TensorSource("textures", pixels.to(torch.uint8), labels)

    return make


@pytest.fixture
def subject(textures, tmp_path):
    """An untrained encoder with 64 training and 32 test pictures."""

    def make(settings: Pretrain | None = None):
        torch.manual_seed(0)
        encoder = Encoder("tiny", 1, 24).eval()
        loaded = LoadedEncoder("untrained", encoder, "tiny", PRESETS["small-grey"], settings)
        return LabelledEncoder(loaded, textures(64), textures(32, seed=1), tmp_path / "out")

    return make
