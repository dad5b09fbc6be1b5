"""What an inspection sees with."""

import pytest
import torch
from torch import nn

from uota.data.memory import TensorSource
from uota.encoders.encoder import Encoder
from uota.encoders.eyes import DEPTHS
from uota.errors import UotaError
from uota.inspection.eyes import MODEL, THUMBNAILS, open_eyes
from uota.views import PRESETS, ViewPipeline

COLOUR, GREY = PRESETS["small"], PRESETS["small-grey"]


def views_of(preset, images=4):
    pixels = torch.randint(0, 256, (images, preset.channels, 40, 40), dtype=torch.uint8)
    return ViewPipeline(preset, seed=0)(TensorSource("made", pixels), [(0, index) for index in range(images)])


@pytest.mark.parametrize("preset", [COLOUR, GREY], ids=["colour", "grey"])
@pytest.mark.parametrize(
    ("eyes", "kinds"),
    [("auto", {*DEPTHS, THUMBNAILS}), ("pretrained", set(DEPTHS)), ("thumbnails", {THUMBNAILS})],
)
def test_eyes_give_what_their_candidates_compare(eyes, kinds, preset):
    opened, views = open_eyes(eyes, preset), views_of(preset)
    seen = opened.extract(views)
    assert set(seen) == kinds
    assert {each.shape[:2] for each in seen.values()} == {(6, 4)}
    candidates = [*opened.candidates, *opened.trained(opened.candidates[0], None)]
    assert {part for candidate in candidates for part in candidate.parts} == kinds
    assert len({candidate.name for candidate in candidates}) == len(candidates)


@pytest.mark.parametrize("eyes", ["auto", "thumbnails"])
def test_the_number_of_training_steps_is_that_of_the_heads(eyes):
    opened = open_eyes(eyes, COLOUR)
    best = opened.candidates[0]
    assert opened.trained(best, 0) == []
    (head,) = opened.trained(best, 7)
    assert head.learns
    assert "7 steps" in head.name
    assert len(opened.trained(best, None)) > 1


def test_a_file_of_weights_sees_as_its_network(tmp_path):
    encoder = Encoder("tiny", 3, 32).eval()
    torch.save(encoder.backbone.state_dict(), tmp_path / "weights.pth")
    views = views_of(COLOUR)
    seen = open_eyes(tmp_path / "weights.pth", COLOUR, "tiny").extract(views)
    large = nn.functional.interpolate(views.by_size[0].flatten(0, 1), (64, 64), mode="bilinear", antialias=True)
    with torch.no_grad():
        expected = encoder(large).unflatten(0, (2, 4))
    torch.testing.assert_close(seen["output"][:2], expected, rtol=1e-3, atol=1e-4)


def test_a_module_sees_by_its_outputs_in_eval_mode():
    module = nn.Sequential(nn.AdaptiveAvgPool2d(3), nn.Dropout(0.5)).train()
    views = views_of(COLOUR)
    seen = open_eyes(module, COLOUR).extract(views)
    assert not module.training
    expected = nn.functional.adaptive_avg_pool2d(views.by_size[1].flatten(0, 1), 3).flatten(1).unflatten(0, (4, 4))
    torch.testing.assert_close(seen[MODEL][2:], expected)


@pytest.mark.parametrize(
    ("eyes", "says"),
    [("nope", "there are no eyes nope; give auto"), (3, "neither a name nor a module"), (None, "neither a name")],
)
def test_eyes_that_do_not_exist_are_refused(eyes, says):
    with pytest.raises(UotaError, match=says):
        open_eyes(eyes, COLOUR)


def test_eyes_that_cannot_see_the_views_are_refused(tmp_path):
    torch.save(Encoder("tiny", 1, 32).backbone.state_dict(), tmp_path / "grey.pth")
    with pytest.raises(UotaError, match="for grey images"):
        open_eyes(tmp_path / "grey.pth", COLOUR, "tiny")
    blind = open_eyes(nn.Linear(3, 2), COLOUR)
    with pytest.raises(UotaError, match="cannot compute features of images of shape"):
        blind.extract(views_of(COLOUR))
    with pytest.raises(UotaError, match="not one row for each view"):
        open_eyes(nn.Flatten(), COLOUR).extract(views_of(COLOUR))
