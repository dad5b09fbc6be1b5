"""docs/fidelity.md matches the recipes, the presets and docs/published."""

import pytest
import yaml

from tools import fidelity
from uota.recipes import recipe_file
from uota.settings.pretrain import NAMES, Pretrain
from uota.views import PRESETS

# Settings of a recipe that no paper has: its method, and where it runs.
OF_THE_PACKAGE = {"method", "accelerator", "views"}


def settings_of(name: str) -> set[str]:
    """Return the settings of a recipe under the names of docs/published."""
    sections = yaml.safe_load(recipe_file(name).read_text(encoding="utf-8"))
    said = {NAMES[section, key]: value for section, each in sections.items() for key, value in each.items()}
    options = {f"method_options.{option}" for option in said.pop("method_options", {})}
    groups = said.pop("view_options", {})
    views = {f"views.{group}.{field}".replace("global.", "") for group in groups for field in groups[group]}
    arbiter = {"arbiter"} if said["arbiter"] == "none" else set()
    return (said.keys() - OF_THE_PACKAGE - arbiter) | options | views


def written() -> list[str]:
    return [name for name in fidelity.recipes() if name in fidelity.names()]


def test_the_page_is_up_to_date():
    assert fidelity.OUT.read_text(encoding="utf-8") == fidelity.page()


def test_every_recipe_has_a_table():
    assert set(fidelity.recipes()) == set(written())


@pytest.mark.parametrize("name", written())
def test_every_setting_of_a_recipe_has_a_row(name):
    rows = [row.setting for row in fidelity.read(name)]
    assert settings_of(name) <= set(rows)
    assert len(rows) == len(set(rows))


@pytest.mark.parametrize("name", fidelity.names())
def test_every_difference_has_a_note(name):
    for row in fidelity.read(name):
        assert row.where.strip(), row.setting
        assert row.same or row.note.strip(), f"{row.setting}: ours is {row.ours}, and no note says where and why"
        assert not (row.same and "differ" in row.note), f"{row.setting} is the published one, and its note denies it"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (0.0006, 6e-4, True),
        ([0.2, 1], (0.2, 1.0), True),
        (1, True, False),
        (0.03, 0.3, False),
        ([0.2, 1], [0.2], False),
        (None, 0, False),
    ],
)
def test_values_are_compared_up_to_rounding(one, other, same):
    assert fidelity.equal(one, other) is same


def test_defaults_are_read_from_the_method_and_its_preset():
    settings = Pretrain.from_flat(method="barlow_twins", views="byol", backbone="resnet50", method_options={"dim": 8})
    about = fidelity.Subject(settings, PRESETS["byol"])
    assert about.ours("learning_rate") == settings.optimization.learning_rate
    assert about.ours("method_options.dim") == 8
    assert about.ours("method_options.off_diagonal") == 0.0051
    assert about.ours("views.blur_probability") == (1.0, 0.1)
    assert about.ours("views.evaluation_size") == 224
    assert fidelity.Subject().ours("uota.views.presets:PRESETS.swav.views") == 8
    assert fidelity.subject("views-swav").ours("views.local.size") == 96


@pytest.mark.parametrize(
    ("about", "row", "rule"),
    [
        (fidelity.Subject(), {"setting": "the order of crops"}, "add `ours`"),
        (fidelity.Subject(), {"setting": "learning_rate"}, "add `ours`"),
        (fidelity.Subject(Pretrain()), {"setting": "views.scale"}, "add `ours`"),
        (fidelity.Subject(Pretrain()), {"setting": "epochs", "ours": 1}, "remove `ours`"),
    ],
)
def test_ours_is_stated_only_if_it_cannot_be_read(about, row, rule):
    with pytest.raises(ValueError, match=rule):
        fidelity.row_of(about, published=1, where="a paper", **row)
