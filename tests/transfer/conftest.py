import json
import shutil

import pytest
import torch

from uota.data.demo.coco_scenes import write_coco_scenes
from uota.encoders.encoder import Encoder
from uota.settings.transfer import Transfer

TRAIN, VAL = 48, 25


@pytest.fixture(scope="session")
def scenes_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("transfer") / "coco"
    write_coco_scenes(folder, TRAIN, VAL)
    return folder


@pytest.fixture
def coco(scenes_folder, tmp_path):
    """A small data set in COCO's layout, a copy that a test may damage."""
    return shutil.copytree(scenes_folder, tmp_path / "coco")


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """A file with weights of the tiny encoder, untrained."""
    torch.manual_seed(5)
    file = tmp_path_factory.mktemp("weights") / "tiny.pth"
    torch.save(Encoder("tiny", 1, 24).backbone.state_dict(), file)
    return file


@pytest.fixture
def short(coco):
    """A factory of settings for a training of a few seconds."""

    def settings(**changes):
        few = {"coco": str(coco), "steps": 4, "batch_size": 4, "workers": 0, "accelerator": "cpu", "threads": 1}
        return Transfer(**few | changes)

    return settings


@pytest.fixture
def change(coco):
    """A function that edits an annotation file in place."""

    def rewrite(name, do):
        file = coco / "annotations" / name
        content = json.loads(file.read_text())
        do(content)
        file.write_text(json.dumps(content))

    return rewrite
