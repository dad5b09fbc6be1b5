import pytest

from uota.settings.pretrain import Pretrain


@pytest.fixture
def small(pictures):
    """Make the settings of a run that takes a second on the CPU, on the 76 training pictures."""

    def settings(**changes):
        few = {"data": str(pictures), "views": "small", "local_views": 1, "workers": 0, "epochs": 1, "batch_size": 24}
        return Pretrain.from_flat(**few | {"accelerator": "cpu", "threads": 1, "warmup_steps": 10} | changes)

    return settings
