"""Which augmentations to make milder, in words, numbers and as settings."""

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

# Cuts that are tried: shares of the views that they drop.
DROPS = np.linspace(0.02, 0.36, 35)
# What is said must hold with this odds at the lower end of its 95 % interval, and free of so much of the outliers more
# than of the good views.
LEAST_ODDS, LEAST_GAIN = 1.25, 0.02
# Of an operation that is done or not, the suggestion is to do it so much less often.
LESS_OFTEN = 0.5
NOTHING = 1e-9


@dataclass(frozen=True)
class Cut:
    """What dropping the views beyond a threshold would do.

    Attributes:
        threshold: of the harm (see `Rule`); views above it would be dropped.
        odds: how many times as likely these are outliers as the others; lower, upper: its 95 % interval.
        keeps: share of the good views that stay.
        drops: share of the outliers that go.
    """

    threshold: float
    odds: float
    lower: float
    upper: float
    keeps: float
    drops: float

    @property
    def holds(self) -> bool:
        """Whether it is worth saying."""
        return self.lower >= LEAST_ODDS and self.drops - (1 - self.keeps) >= LEAST_GAIN


@dataclass(frozen=True)
class Rule:
    """One setting of a group of views that can be made milder.

    Attributes:
        field: of `ViewSizePreset`.
        harm: a number per view that grows with the strength of what was done.
        milder: the field's new value for a threshold of the harm; None: nothing would change.
        words: what views above a threshold are called.
        binary: the operation is done or not; it is only done less often.
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
        lambda group, most: round(most, 2) if most < getattr(group, field) else None,
        lambda most: f"views with a {field} factor further than {most:.2f} from 1",
    )


def _often_rule(field: str, done: Callable[[ViewParameters], Tensor], words: str) -> Rule:
    def milder(group: ViewSizePreset, most: float) -> Any:
        value = getattr(group, field)
        return [LESS_OFTEN * one for one in value] if isinstance(value, tuple) else LESS_OFTEN * value

    return Rule(field, lambda parameters: done(parameters).double(), milder, lambda most: words, binary=True)


RULES = (
    Rule(
        "scale",
        lambda parameters: -_area(parameters),
        lambda group, most: [_rounded(-most), group.scale[1]] if group.scale[0] < _rounded(-most) else None,
        lambda most: f"crops under {100 * _rounded(-most):.3g} % of the image",
    ),
    Rule(
        "ratio",
        lambda parameters: (parameters.box[..., 3] / parameters.box[..., 2]).double().log().abs(),
        lambda group, most: [round(exp(-most), 2), round(exp(most), 2)] if most < log(group.ratio[1]) else None,
        lambda most: f"crops more than {exp(most):.2f} times as long one way as the other",
    ),
    *(_factor_rule(field) for field in ("brightness", "contrast", "saturation")),
    Rule(
        "hue",
        lambda parameters: parameters.hue.double().abs(),
        lambda group, most: round(most, 3) if most < group.hue else None,
        lambda most: f"views with a hue shifted by more than {most:.2f} turns",
    ),
    _often_rule("grey_probability", lambda parameters: parameters.grey, "views turned grey"),
    _often_rule("blur_probability", lambda parameters: parameters.blur_sigma > 0, "blurred views"),
    _often_rule("solarise_probability", lambda parameters: parameters.solarise, "solarised views"),
)


@dataclass(frozen=True)
class Advice:
    """What to change.

    Attributes:
        sentences: one for each change; or one that says why there is none.
        settings: for `uota pretrain --config`; empty where nothing is to be changed.
    """

    sentences: list[str]
    settings: dict[str, Any]

    @property
    def yaml(self) -> str:
        """The settings as a file."""
        return yaml.safe_dump(self.settings, sort_keys=False, default_flow_style=None) if self.settings else ""


def advise(table: ViewTable, options: dict[str, dict[str, Any]], seed: int = 0) -> Advice:
    """What to make milder, with the numbers that say so.

    Each threshold is chosen on half of the images, and what is said of it measured on the other half.

    Args:
        table: the judged views.
        options: changes to the preset that the views were already made with, which the settings keep.
        seed: which half an image is in, and of the intervals.
    """
    half = torch.from_numpy(np.random.default_rng(seed).permutation(table.shape[1]) % 2 == 0)
    outlier, counted = table.outlier_probability.double().numpy(), table.at_home.numpy()
    kinds = np.array(table.preset.size_name_of_view)
    sentences, changes = [], {name: dict(fields) for name, fields in options.items()}
    for kind, group in zip(dict.fromkeys(kinds), table.preset.sizes, strict=True):
        rows = kinds == kind
        for rule in RULES:
            harm = rule.harm(table.parameters).numpy()[rows]
            found = _cut(rule, harm, outlier[rows], counted[rows], half.numpy(), seed)
            value = rule.milder(group, found.threshold) if found is not None and found.holds else None
            if value is not None and found is not None:
                sentences.append((found.drops, _sentence(kind, rule, found, value)))
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
    """Where cutting off takes most of the outliers for the fewest good views."""
    tried = np.quantile(harm, 1 - DROPS)
    above = harm > tried[:, None]
    bad, good = (above * outlier).sum(1), (above * (1 - outlier)).sum(1)
    gains = bad / max(outlier.sum(), NOTHING) - good / max((1 - outlier).sum(), NOTHING)
    return float(tried[gains.argmax()])


def measure_cut(
    harm: Float[ndarray, "views images"],
    outlier: Float[ndarray, "views images"],
    counted: Bool[ndarray, "views images"],
    threshold: float,
    seed: int = 0,
) -> Cut | None:
    """What dropping the views above a threshold of the harm would do; None where all are on one side of it.

    Args:
        harm: of each view.
        outlier: probability that it is one.
        counted: which views count.
        threshold: of the harm.
        seed: of the interval, for which images are drawn again.
    """
    above, below = counted & (harm > threshold), counted & (harm <= threshold)
    if not above.any() or not below.any():
        return None
    sums = np.stack([(above * outlier).sum(0), above.sum(0), (below * outlier).sum(0), below.sum(0)], -1)

    def odds(totals: ndarray) -> Any:
        bad, beyond, rest, within = np.moveaxis(totals, -1, 0)
        return (bad / np.maximum(beyond, 1)) / np.maximum(rest / np.maximum(within, 1), 1e-6)

    lower, upper = np.quantile(odds(resampled_images(harm.shape[1], seed) @ sums), (0.025, 0.975))
    good, bad = counted * (1 - outlier), counted * outlier
    return Cut(
        threshold,
        float(odds(sums.sum(0))),
        float(lower),
        float(upper),
        float((below * good).sum() / max(good.sum(), NOTHING)),
        float((above * bad).sum() / max(bad.sum(), NOTHING)),
    )


def _sentence(kind: str, rule: Rule, cut: Cut, value: Any) -> str:
    said = (
        f"Of the {kind} views, {rule.words(cut.threshold)} are {cut.odds:.1f} times as likely to be outliers as the "
        f"others (95 % interval {cut.lower:.1f} to {cut.upper:.1f})"
    )
    if rule.binary:
        return f"{said}; {rule.field}={_shown(value)} makes half as many."
    return (
        f"{said}; {rule.field}={_shown(value)} keeps {100 * cut.keeps:.0f} % of the good views "
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
