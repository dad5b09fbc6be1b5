"""Fixtures of all tests; PyTorch uses one thread, and shapes are checked at every annotated call."""

import pytest
import torch
from hypothesis import settings
from PIL import Image
from tests.browser import window

__all__ = ["window"]
IMAGES = 96

# Random examples are the same on every machine, without a time limit; --hypothesis-profile=many draws far more.
settings.register_profile("few", derandomize=True, deadline=None, database=None, max_examples=30)
settings.register_profile("many", settings.get_profile("few"), max_examples=600)
settings.load_profile("few")


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def messages_shown():
    """What the package logs is printed, as in commands."""
    from uota.console import show_messages  # not above: shapes are checked in what is imported after this file

    with show_messages():
        yield


@pytest.fixture
def impatient(monkeypatch):
    """Do not wait before reading from a failing file system again."""
    monkeypatch.setattr("uota.data.files.patience.PAUSES", (0.01,))


@pytest.fixture
def embeddings():
    """Return a function that makes embeddings (views, batch, dim) around one direction per image, or a wrong one."""

    def make(views=6, batch=128, dim=32, wrong=0.0, seed=0, spread=0.25):
        random = torch.Generator().manual_seed(seed)
        centres = torch.nn.functional.normalize(torch.randn(batch, dim, generator=random), dim=-1)
        strangers = torch.nn.functional.normalize(torch.randn(views, batch, dim, generator=random), dim=-1)
        is_wrong = torch.rand(views, batch, generator=random) < wrong
        x = torch.where(is_wrong[..., None], strangers, centres)
        x = x + spread / dim**0.5 * torch.randn(views, batch, dim, generator=random)
        return torch.nn.functional.normalize(x, dim=-1), is_wrong

    return make


@pytest.fixture(scope="session")
def lit_patterns():
    """Return a function that makes pictures of objects, each a pattern of 3 × 3 colours, at several brightnesses."""

    # Imported late, because shapes are checked in modules that are imported after this file.
    from uota.data.memory import TensorSource

    def make(things, lights):
        random = torch.Generator().manual_seed(0)
        patterns = torch.rand(things, 1, 3, 3, 3, generator=random)
        brightness = 0.5 + 0.5 * torch.rand(things, lights, 1, 1, 1, generator=random)
        pixels = (255 * patterns * brightness).to(torch.uint8).flatten(0, 1)
        return TensorSource("patterns", pixels.repeat_interleave(10, -1).repeat_interleave(10, -2))

    return make


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Write a folder of small pictures in two classes, each a colour field with a bright square."""
    folder = tmp_path_factory.mktemp("pictures")
    random = torch.Generator().manual_seed(0)
    for number in range(IMAGES):
        image = torch.randint(0, 128, (3, 1, 1), generator=random).expand(3, 40, 40).clone()
        top, left = torch.randint(0, 24, (2,), generator=random).tolist()
        image[:, top : top + 16, left : left + 16] = 128 + torch.randint(0, 128, (3, 1, 1), generator=random)
        place = folder / f"class{number % 2}"
        place.mkdir(exist_ok=True)
        Image.fromarray(image.to(torch.uint8).permute(1, 2, 0).numpy()).save(place / f"{number:03}.png")
    return folder
