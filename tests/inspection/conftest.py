"""Tables of views with synthetic outlier probabilities."""

import pytest
import torch

from uota.arbitration import Arbitration
from uota.data.memory import TensorSource
from uota.inspection.table import ViewTable
from uota.views import ViewPipeline
from uota.views.view_preset import ViewPreset, ViewSizePreset

IMAGES = 400
SIZES = (
    ViewSizePreset(2, 16, (0.3, 1.0), brightness=0.4, grey_probability=0.3),
    ViewSizePreset(4, 8, (0.05, 0.3), brightness=0.4, grey_probability=0.3),
)
PRESET = ViewPreset("made", SIZES, (0.5,) * 3, (0.5,) * 3, evaluation_size=16)


@pytest.fixture(scope="session")
def table_of():
    return _table_of


def _table_of(probability, parameters, wrong=None):
    """Make a table in which learned and two_groups give these outlier probabilities, and mahalanobis gives none."""
    weights = (1 - probability) / (1 - probability).mean()
    verdict = Arbitration(weights, -probability, None, None, probability, float(probability.mean()))
    paper = Arbitration(torch.ones_like(weights), -probability, probability, 1.0)
    views, images = probability.shape
    pixels = torch.zeros(images, 3, 64, 64, dtype=torch.uint8)
    labels = torch.arange(images) % 2
    return ViewTable(
        TensorSource("made", pixels, labels, ["even", "odd"]),
        PRESET,
        torch.arange(images),
        parameters,
        torch.zeros(views, images, 2),
        {"learned": verdict, "two_groups": verdict, "mahalanobis": paper},
        "learned",
        wrong,
        torch.zeros(views, images, dtype=torch.bool),
    )


@pytest.fixture(scope="session")
def parameters():
    pixels = torch.zeros(IMAGES, 3, 64, 64, dtype=torch.uint8)
    return ViewPipeline(PRESET, seed=3)(
        TensorSource("made", pixels), [(0, index) for index in range(IMAGES)]
    ).parameters


@pytest.fixture(scope="session")
def area(parameters):
    return parameters.box[..., 2] * parameters.box[..., 3] / 64**2


@pytest.fixture(scope="session")
def made(parameters, area):
    """A table with outlier probability 0.6 for crops under 12 % of the image, else 0.1, and 0.2 more for grey views."""
    return _table_of((0.1 + 0.5 * (area < 0.12) + 0.2 * parameters.grey).double(), parameters)
