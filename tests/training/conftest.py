import pytest
import torch
from PIL import Image

from uota.config import Pretrain

IMAGES = 96


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder of small pictures, each a field of its own colour with a bright square, in two classes."""
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


@pytest.fixture
def small(pictures):
    """Settings of a run of a second, on the CPU: the folder's 76 training pictures."""

    def settings(**changes):
        few = {"data": str(pictures), "views": "small", "local_views": 1, "workers": 0, "epochs": 1, "batch_size": 24}
        return Pretrain(**few | {"accelerator": "cpu", "threads": 1, "warmup_steps": 10} | changes)

    return settings
