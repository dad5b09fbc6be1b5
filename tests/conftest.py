"""For all tests: one thread, and shapes checked at every annotated call."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def embeddings():
    """Views around one direction per image, those of `wrong` around another image's (views, batch, dim)."""

    def make(views=6, batch=128, dim=32, wrong=0.0, seed=0, spread=0.25):
        random = torch.Generator().manual_seed(seed)
        centres = torch.nn.functional.normalize(torch.randn(batch, dim, generator=random), dim=-1)
        strangers = torch.nn.functional.normalize(torch.randn(views, batch, dim, generator=random), dim=-1)
        is_wrong = torch.rand(views, batch, generator=random) < wrong
        x = torch.where(is_wrong[..., None], strangers, centres)
        x = x + spread / dim**0.5 * torch.randn(views, batch, dim, generator=random)
        return torch.nn.functional.normalize(x, dim=-1), is_wrong

    return make
