import numpy as np
import pytest
import torch
import yaml

from uota.inspection.analysis.advice import advise, measure_cut


def test_the_threshold_is_found_and_reported_with_its_figures(made):
    advice = advise(made, {})
    assert advice.settings["view_options"]["local"]["scale"] == pytest.approx([0.12, 0.3], abs=0.006)
    assert "scale" not in advice.settings["view_options"].get("global", {})
    assert advice.settings["view_options"]["local"]["grey_probability"] == 0.15
    scale = next(sentence for sentence in advice.sentences if "scale" in sentence)
    assert scale.startswith("Of the local views, crops under 12 % of the image are 4.")
    assert yaml.safe_load(advice.yaml) == advice.settings


def test_a_cut_equals_a_plain_loop():
    random = np.random.default_rng(0)
    harm, outlier = random.random((6, 200)), random.random((6, 200)) ** 2
    cut = measure_cut(harm, outlier, np.ones_like(harm, dtype=bool), 0.7)
    rows = [(h > 0.7, p) for h, p in zip(harm.flatten(), outlier.flatten(), strict=True)]
    beyond, within = ([p for above, p in rows if above is side] for side in (np.True_, np.False_))
    assert cut.risk_ratio == pytest.approx(np.mean(beyond) / np.mean(within))
    assert cut.drops == pytest.approx(sum(beyond) / outlier.sum())
    assert cut.keeps == pytest.approx(sum(1 - p for p in within) / (1 - outlier).sum())
    assert cut.lower < cut.risk_ratio < cut.upper


def test_without_harmful_augmentations_there_is_no_advice(table_of, parameters):
    noise = torch.rand(parameters.flip.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    advice = advise(table_of(0.2 * noise, parameters), {})
    assert advice.settings == {}
    assert advice.yaml == ""
    assert advice.sentences == [
        "Nothing to change: 10.0 % of the views are estimated to be outliers, and none of the "
        "augmentations makes them clearly more frequent."
    ]


def test_settings_keep_the_changes_that_the_views_were_made_with(made):
    advice = advise(made, {"global": {"hue": 0.1}})
    assert advice.settings["view_options"]["global"]["hue"] == 0.1
    made.preset.with_options(advice.settings["view_options"])


def test_views_that_do_not_count_change_nothing():
    random = np.random.default_rng(0)
    harm, outlier, counted = random.random((6, 200)), random.random((6, 200)), random.random((6, 200)) < 0.8
    spoilt = np.where(counted, outlier, 1 - outlier)
    assert measure_cut(harm, outlier, counted, 0.7) == measure_cut(harm, spoilt, counted, 0.7)
