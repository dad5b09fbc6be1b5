"""Advice on which augmentations to make milder, as sentences with figures and as settings."""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, log
from typing import Any

import numpy as np
import torch
import yaml
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from uota.inspection.analysis.causes import resampled_images
from uota.inspection.table import ViewTable
from uota.views import PRESETS, ViewParameters, ViewSizePreset

# Candidate cuts, as the shares of views that they drop.
DROPS = np.linspace(0.02, 0.36, 35)
# Advice is given only if the lower end of the 95 % interval of the risk ratio reaches the first, and if the share of
# outliers dropped exceeds that of inliers dropped by the second.
MIN_RISK_RATIO, MIN_GAIN = 1.25, 0.02
# Factor suggested for the probability of an operation that is either applied or not.
LESS_OFTEN = 0.5
EPSILON = 1e-9


@dataclass(frozen=True)
class Cut:
    """The effect of dropping the views beyond a threshold.

    Attributes:
        threshold: views whose harm (see `Rule`) is above it are dropped.
        risk_ratio: share of outliers among the dropped views, divided by that among the others.
        lower, upper: 95 % interval of the risk ratio.
        keeps: share of the inliers that are kept.
        drops: share of the outliers that are dropped.
    """

    threshold: float
    risk_ratio: float
    lower: float
    upper: float
    keeps: float
    drops: float

    @property
    def holds(self) -> bool:
        """Whether the effect is certain and large enough to report."""
        return self.lower >= MIN_RISK_RATIO and self.drops - (1 - self.keeps) >= MIN_GAIN


@dataclass(frozen=True)
class Rule:
    """A setting of one size of views that can be made milder.

    Attributes:
        field: name of the field of `ViewSizePreset`.
        harm: number for each view that grows with the strength of the augmentation.
        milder: new value of the field for a threshold of the harm; None: it would not change.
        words: description of the views above a threshold.
        binary: the operation is either applied or not, so it can only be applied less often.
    """

    field: str
    harm: Callable[[ViewParameters], Tensor]
    milder: Callable[[ViewSizePreset, float], Any]
    words: Callable[[float], str]
    binary: bool = False


def _area(parameters: ViewParameters) -> Tensor:
    return parameters.box[..., 2:].double().prod(-1) / parameters.image_size.double().prod(-1)


def _factor_rule(field: str) -> Rule:
    return Rule(
        field,
        lambda parameters: (getattr(parameters, field).double() - 1).abs(),
        lambda size, most: round(most, 2) if most < getattr(size, field) else None,
        lambda most: f"views with a {field} factor further than {most:.2f} from 1",
    )


def _often_rule(field: str, done: Callable[[ViewParameters], Tensor], words: str) -> Rule:
    def milder(size: ViewSizePreset, most: float) -> Any:
        value = getattr(size, field)
        return [LESS_OFTEN * one for one in value] if isinstance(value, tuple) else LESS_OFTEN * value

    return Rule(field, lambda parameters: done(parameters).double(), milder, lambda most: words, binary=True)


RULES = (
    Rule(
        "scale",
        lambda parameters: -_area(parameters),
        lambda size, most: [_rounded(-most), size.scale[1]] if size.scale[0] < _rounded(-most) else None,
        lambda most: f"crops under {100 * _rounded(-most):.3g} % of the image",
    ),
    Rule(
        "ratio",
        lambda parameters: (parameters.box[..., 3] / parameters.box[..., 2]).double().log().abs(),
        lambda size, most: [round(exp(-most), 2), round(exp(most), 2)] if most < log(size.ratio[1]) else None,
        lambda most: f"crops more than {exp(most):.2f} times as long one way as the other",
    ),
    *(_factor_rule(field) for field in ("brightness", "contrast", "saturation")),
    Rule(
        "hue",
        lambda parameters: parameters.hue.double().abs(),
        lambda size, most: round(most, 3) if most < size.hue else None,
        lambda most: f"views with a hue shifted by more than {most:.2f} turns",
    ),
    _often_rule("grey_probability", lambda parameters: parameters.grey, "views turned grey"),
    _often_rule("blur_probability", lambda parameters: parameters.blur_sigma > 0, "blurred views"),
    _often_rule("solarise_probability", lambda parameters: parameters.solarise, "solarised views"),
)


@dataclass(frozen=True)
class Advice:
    """Suggested changes to the augmentations.

    Attributes:
        sentences: one for each change, or one that says why there is none.
        settings: settings for `uota pretrain --config`; empty if nothing should change.
    """

    sentences: list[str]
    settings: dict[str, Any]

    @property
    def yaml(self) -> str:
        """The settings as the text of a YAML file."""
        return yaml.safe_dump(self.settings, sort_keys=False, default_flow_style=None) if self.settings else ""


def advise(table: ViewTable, options: dict[str, dict[str, Any]], seed: int = 0) -> Advice:
    """Suggest which augmentations to make milder, with the figures that support each suggestion.

    Each threshold is chosen on half of the images, and its effect is measured on the other half.

    Args:
        table: the scored views.
        options: changes to the preset with which the views were made, which the suggested settings keep.
        seed: seed of the split in halves and of the intervals.
    """
    half = torch.from_numpy(np.random.default_rng(seed).permutation(table.shape[1]) % 2 == 0)
    outlier, counted = table.outlier_probability.double().numpy(), table.shows_own_item.numpy()
    kinds = np.array(table.preset.size_name_of_view)
    sentences, changes = [], {name: dict(fields) for name, fields in options.items()}
    for kind, size in zip(dict.fromkeys(kinds), table.preset.sizes, strict=True):
        rows = kinds == kind
        for rule in RULES:
            harm = rule.harm(table.parameters).numpy()[rows]
            cut = _cut(rule, harm, outlier[rows], counted[rows], half.numpy(), seed)
            value = rule.milder(size, cut.threshold) if cut is not None and cut.holds else None
            if value is not None and cut is not None:
                sentences.append((cut.drops, _sentence(kind, rule, cut, value)))
                changes.setdefault(str(kind), {})[rule.field] = value
    if not sentences:
        return Advice([_nothing(float(outlier[counted].mean()))], {})
    ordered = [sentence for _, sentence in sorted(sentences, key=lambda pair: -pair[0])]
    views = {"views": table.preset.name} if table.preset.name in PRESETS else {}
    return Advice(ordered, views | {"view_options": changes})


def _cut(rule: Rule, harm: ndarray, outlier: ndarray, counted: ndarray, half: ndarray, seed: int) -> Cut | None:
    if np.ptp(harm) == 0:
        return None
    threshold = (
        0.5 if rule.binary else _best_threshold(harm[:, half][counted[:, half]], outlier[:, half][counted[:, half]])
    )
    if rule.field == "scale":
        threshold = -_rounded(-threshold)
    return measure_cut(harm[:, ~half], outlier[:, ~half], counted[:, ~half], threshold, seed)


def _best_threshold(harm: Float[ndarray, " views"], outlier: Float[ndarray, " views"]) -> float:
    """Return the threshold that maximises the share of outliers dropped minus that of inliers dropped."""
    thresholds = np.quantile(harm, 1 - DROPS)
    above = harm > thresholds[:, None]
    bad, good = (above * outlier).sum(1), (above * (1 - outlier)).sum(1)
    gains = bad / max(outlier.sum(), EPSILON) - good / max((1 - outlier).sum(), EPSILON)
    return float(thresholds[gains.argmax()])


def measure_cut(
    harm: Float[ndarray, "views images"],
    outlier: Float[ndarray, "views images"],
    counted: Bool[ndarray, "views images"],
    threshold: float,
    seed: int = 0,
) -> Cut | None:
    """Measure the effect of dropping the views whose harm is above a threshold; None if all are on one side of it.

    Args:
        harm: harm of each view.
        outlier: outlier probability of each view.
        counted: which views count.
        threshold: threshold of the harm.
        seed: seed of the bootstrap over images that gives the interval.
    """
    above, below = counted & (harm > threshold), counted & (harm <= threshold)
    if not above.any() or not below.any():
        return None
    sums = np.stack([(above * outlier).sum(0), above.sum(0), (below * outlier).sum(0), below.sum(0)], -1)

    def risk_ratio(totals: ndarray) -> Any:
        outliers_above, all_above, outliers_below, all_below = np.moveaxis(totals, -1, 0)
        share_above, share_below = outliers_above / np.maximum(all_above, 1), outliers_below / np.maximum(all_below, 1)
        return share_above / np.maximum(share_below, 1e-6)

    lower, upper = np.quantile(risk_ratio(resampled_images(harm.shape[1], seed) @ sums), (0.025, 0.975))
    good, bad = counted * (1 - outlier), counted * outlier
    return Cut(
        threshold,
        float(risk_ratio(sums.sum(0))),
        float(lower),
        float(upper),
        float((below * good).sum() / max(good.sum(), EPSILON)),
        float((above * bad).sum() / max(bad.sum(), EPSILON)),
    )


def _sentence(kind: str, rule: Rule, cut: Cut, value: Any) -> str:
    finding = (
        f"Of the {kind} views, {rule.words(cut.threshold)} are {cut.risk_ratio:.1f} times as likely to be outliers as "
        f"the others (95 % interval {cut.lower:.1f} to {cut.upper:.1f})"
    )
    if rule.binary:
        return f"{finding}; {rule.field}={_shown(value)} makes half as many."
    return (
        f"{finding}; {rule.field}={_shown(value)} keeps {100 * cut.keeps:.0f} % of the good views "
        f"and drops {100 * cut.drops:.0f} % of the outliers."
    )


def _nothing(rate: float) -> str:
    return (
        f"Nothing to change: {100 * rate:.1f} % of the views are estimated to be outliers, and none of the "
        "augmentations makes them clearly more frequent."
    )


def _shown(value: Any) -> str:
    return f"({', '.join(f'{one:g}' for one in value)})" if isinstance(value, list) else f"{value:g}"


def _rounded(share: float) -> float:
    return float(f"{share:.2g}")
