import json

import pytest
import torch

from uota.settings.pretrain import Pretrain

DEFAULTS = {
    "method": "swav",
    "arbiter": "none",
    "views": "scenes",
    "epochs": 4,
    "batch_size": 128,
    "learning_rate": 2e-3,
}


@pytest.fixture
def make_run(tmp_path):
    """Make the folder of a run as `pretrain` and `evaluate` write it, with results by the name of their file."""

    def make(name, done=None, results=None, **settings):
        folder = tmp_path / name
        folder.mkdir()
        chosen = Pretrain.from_flat(**DEFAULTS | settings)
        (folder / "settings.json").write_text(json.dumps(chosen.as_dict()))
        state = {"state_dict": {"weight": torch.zeros(1)}, "global_step": 1}
        torch.save(state | {"epoch": chosen.optimization.epochs if done is None else done}, folder / "checkpoint.ckpt")
        for file, result in (results or {}).items():
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text(json.dumps({"data": "demo-scenes", "settings": {}} | result))
        return folder

    return make


@pytest.fixture
def seeds(make_run):
    """Make three runs without and three with arbitration, on the same seeds."""

    def make(plain=(60.0, 64.0, 62.0), learned=(66.0, 68.0, 69.0)):
        kinds = {"plain": (plain, {}), "learned": (learned, {"arbiter": "learned", "eyes": "features"})}
        return [
            make_run(
                f"{kind}-{seed}", seed=seed, results={"linear.json": {"top1": top1, "top5": 90 + seed}}, **settings
            )
            for kind, (values, settings) in kinds.items()
            for seed, top1 in enumerate(values)
        ]

    return make
