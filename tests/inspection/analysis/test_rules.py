import numpy as np
import pytest

from uota.inspection.analysis.rules import RULES
from uota.views.view_preset import ViewSizePreset

STRONG = ViewSizePreset(
    2, 16, (0.05, 0.5), brightness=0.8, contrast=0.8, saturation=0.8, hue=0.4, grey_probability=0.3,
    blur_probability=(1.0, 0.1), solarise_probability=(0.0, 0.2),
)  # fmt: skip
THRESHOLDS = {"scale": -0.12, "ratio": np.log(1.2), "hue": 0.2}
EXPECTED = {
    "scale": [0.12, 0.5], "ratio": [0.83, 1.2], "brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.2,
    "grey_probability": 0.15, "blur_probability": [0.5, 0.05], "solarise_probability": [0.0, 0.1],
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.field)
def test_milder_values_leave_out_what_is_above_the_threshold(rule):
    threshold = rule.rounded(THRESHOLDS.get(rule.field, 0.4))
    assert rule.milder(STRONG, threshold) == pytest.approx(EXPECTED[rule.field])


def test_thresholds_are_rounded_as_they_are_told():
    scale, ratio = RULES[:2]
    assert scale.rounded(-0.12345) == -0.12
    assert scale.words(scale.rounded(-0.12345)) == "crops under 12 % of the image"
    assert ratio.words(ratio.rounded(np.log(1.2345))) == "crops more than 1.23 times as long one way as the other"


def test_what_would_not_change_or_leave_no_crop_is_not_suggested():
    scale, ratio, brightness = RULES[:3]
    narrow = ViewSizePreset(2, 16, (0.3, 0.34), (0.9, 1.1), brightness=0.2)
    assert scale.milder(narrow, -0.3) is None
    assert scale.milder(narrow, -0.35) is None
    assert ratio.milder(narrow, np.log(1.5)) is None
    assert brightness.milder(narrow, 0.2) is None


def test_a_ratio_that_is_limited_on_one_side_stays_so():
    assert RULES[1].milder(ViewSizePreset(2, 16, (0.3, 1.0), (1.0, 2.0)), np.log(1.5)) == [1.0, 1.5]
