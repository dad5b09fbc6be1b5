import pytest

from uota.errors import UotaError
from uota.settings.pretrain import Pretrain
from uota.training.default_eyes import choose_eyes
from uota.views import PRESETS

LARGE, SMALL, GROUPS, SMALL_GROUPS = "medium", "small", "medium-groups", "small-groups"


@pytest.mark.parametrize(
    ("views", "asked", "eyes", "arbiter"),
    [
        (LARGE, {}, "pretrained", "chosen"),
        (GROUPS, {}, "pretrained", "chosen"),
        (SMALL, {}, "thumbnails", "learned"),
        (SMALL_GROUPS, {}, "features", "learned"),
        (LARGE, {"backbone": "mobilenetv3_small_100"}, "thumbnails", "learned"),  # steps are short
        (LARGE, {"eyes": "features"}, "features", "learned"),
        (SMALL, {"eyes": "pretrained"}, "pretrained", "chosen"),
        (SMALL, {"eyes": "resnet18"}, "resnet18", "chosen"),
        (LARGE, {"arbiter": "learned"}, "thumbnails", "learned"),
        (GROUPS, {"arbiter": "learned"}, "features", "learned"),
        (SMALL, {"arbiter": "cohort"}, "pretrained", "cohort"),
        (SMALL, {"arbiter": "chosen"}, "pretrained", "chosen"),
        (LARGE, {"arbiter": "two_groups"}, "embeddings", "two_groups"),
        (LARGE, {"arbiter": "mahalanobis"}, "embeddings", "mahalanobis"),
        (LARGE, {"arbiter": "none"}, "embeddings", "none"),
        (LARGE, {"arbiter": "two_groups", "eyes": "pretrained"}, "pretrained", "two_groups"),
    ],
)
def test_eyes_and_arbiter_that_are_left_open(views, asked, eyes, arbiter):
    settings = Pretrain.from_flat(**{"backbone": "resnet18", "views": views} | asked)
    chosen = {choice.name: choice for choice in choose_eyes(settings, PRESETS[views])}
    found = {name: each.value for name, each in chosen.items()}
    assert {"arbiter": asked.get("arbiter")} | found == {"eyes": eyes, "arbiter": arbiter}
    assert all(choice.reason for choice in chosen.values())
    resolved = settings.replace_flat(**found)
    assert [each.value for each in choose_eyes(resolved, PRESETS[views])] == [eyes]


def test_the_cost_of_eyes_is_told():
    settings = Pretrain.from_flat(backbone="mobilenetv3_small_100")
    assert "to the time of a step" in choose_eyes(settings, PRESETS[LARGE])[0].reason


def test_contradictions_are_refused():
    with pytest.raises(UotaError, match="eyes are features and the arbiter is chosen, which needs frozen ones"):
        Pretrain.from_flat(arbiter="chosen", eyes="features")
    with pytest.raises(UotaError, match="eyes are pretrained and the arbiter is none"):
        Pretrain.from_flat(arbiter="none", eyes="pretrained")
