import re
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml

from uota.inspection.analysis.advice import Cut, _ratio, advise
from uota.views import ViewParameters


def everything(table):
    return torch.ones(table.shape, dtype=torch.bool)


def probability_of(flagged):
    return torch.where(flagged, 0.9, 0.05).double()


def flags(rates, seed=0):
    return torch.rand(rates.shape, generator=torch.Generator().manual_seed(seed)) < rates


@pytest.fixture
def harmful(table_of, parameters, area):
    """A table in which 40 % of crops under 12 % are flagged, 25 % of other grey views and 1 % of the rest."""
    rates = torch.where(area < 0.12, 0.4, torch.where(parameters.grey, 0.25, 0.01))
    return table_of(probability_of(flags(rates)), parameters)


def test_advice_names_the_counts_behind_each_ratio(harmful, area):
    advice = advise(harmful, everything(harmful))
    scale = next(sentence for sentence in advice.sentences if "crops under" in sentence)
    numbers = re.fullmatch(
        r"Of the 1,600 local views, (\d+) crops under (\S+) % of the image hold (\d+) of the (\d+) flagged views: "
        r"(\S+) % of them are flagged against (\S+) % of the others \((\S+) times, 95 % interval (\S+) to (\S+)\); "
        r"scale=\(0\.12, 0\.3\) leaves them out\.",
        scale,
    ).groups()
    dropped, percent, hit, flagged, share, others, ratio, low, high = map(float, numbers)
    bad, small = harmful.outlier_probability[2:] > 0.5, area[2:] < 0.12
    assert percent == 12
    assert (dropped, hit, flagged) == (small.sum(), (bad & small).sum(), bad.sum())
    assert share == pytest.approx(100 * hit / dropped, rel=0.06)
    assert others == pytest.approx(100 * (flagged - hit) / (1600 - dropped), rel=0.06)
    assert low < ratio < high
    assert ratio == pytest.approx((hit / dropped) / ((flagged - hit) / (1600 - dropped)), rel=0.06)


def test_settings_have_the_changes_only_and_make_the_advised_preset(harmful):
    advice = advise(harmful, everything(harmful))
    changes = {"global": {"grey_probability": 0.15}, "local": {"scale": [0.12, 0.3], "grey_probability": 0.15}}
    assert advice.settings == {"view_options": changes}
    named = replace(harmful, preset=replace(harmful.preset, name="medium"))
    assert advise(named, everything(named)).settings == {"views": "medium", "view_options": changes}
    assert yaml.safe_load(advice.yaml) == advice.settings
    own = {"global": {"hue": 0.1}, "local": {"scale": [0.05, 0.3], "hue": 0.2}}
    both = {name: own[name] | changes[name] for name in own}
    sizes = harmful.preset.with_options(both).sizes
    assert [(size.scale, size.grey_probability, size.hue) for size in sizes] == [
        ((0.3, 1.0), 0.15, 0.1), ((0.12, 0.3), 0.15, 0.2)]  # fmt: skip


def test_few_flagged_views_say_too_little(table_of, parameters, area):
    flagged = (area < 0.12) & (torch.arange(400) < 20)
    advice = advise(table_of(probability_of(flagged), parameters), torch.ones_like(flagged))
    assert 8 < flagged.sum() < 20
    assert advice.settings == {}
    assert advice.yaml == ""
    assert advice.sentences == [
        f"Nothing to change: {flagged.sum()} of the 2,400 views are flagged (outlier probability above 0.5), "
        "too few to say which augmentations make them."
    ]


def test_an_effect_needs_twenty_flagged_views_beyond_the_cut(table_of, parameters, area):
    """Of 75 flagged views, fewer than 20 are grey: though all grey views are flagged, that is not told."""
    grey = torch.zeros_like(parameters.grey)
    grey[2:] = torch.arange(400) % 100 < 1
    views = ViewParameters(**{**vars(parameters), "grey": grey})
    flagged = grey | (flags(torch.full(grey.shape, 0.03)) & (torch.arange(6) > 1)[:, None])
    advice = advise(table_of(probability_of(flagged), views), torch.ones_like(flagged))
    assert flagged.sum() > 50
    assert advice.settings == {}
    assert re.search(r"none of the augmentations .* \(smallest p-value of 4 tests: 0\.\d+\)", advice.sentences[0])


def test_without_an_effect_advice_is_given_for_at_most_one_data_set_in_twenty(table_of, parameters):
    few = ViewParameters(**{name: value[:, :60] for name, value in vars(parameters).items()})
    counted = torch.ones(6, 60, dtype=torch.bool)
    given = 0
    for seed in range(200):
        flagged = flags(torch.full((6, 60), 0.3), seed)
        flagged = flagged[:1].expand(6, 60) if seed % 2 else flagged  # whole images, or single views
        given += bool(advise(table_of(probability_of(flagged), few), counted, seed).settings)
    assert given <= 10


def test_views_that_do_not_count_change_nothing(harmful):
    counted = flags(torch.full(harmful.shape, 0.8), 1)
    verdict = harmful.verdict
    changed = torch.where(counted, verdict.outlier_probability, torch.nan)
    spoilt = replace(harmful, verdicts=harmful.verdicts | {"learned": replace(verdict, outlier_probability=changed)})
    assert advise(spoilt, counted) == advise(harmful, counted)
    assert f"Of the {int(counted[2:].sum()):,} local views" in advise(harmful, counted).sentences[0]


def test_a_ratio_to_nothing_or_without_an_upper_end_is_told_as_such():
    assert _ratio(Cut(100, 900, 30, 0, 90.0, np.inf)) == "at least 90 times as many, with 95 % confidence"
    assert _ratio(Cut(100, 900, 30, 1, 41.3, np.inf)) == "270 times, 95 % interval 41 up"
