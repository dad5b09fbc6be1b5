"""Advice on which augmentations to make milder, as sentences with figures and as settings."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import yaml
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.stats import false_discovery_control
from torch import Tensor

from uota.inspection.analysis.causes import MIN_FLAGGED
from uota.inspection.analysis.cuts import Cut, best_threshold, candidate_thresholds, measure_cut
from uota.inspection.analysis.rules import RULES, Rule
from uota.inspection.table import FLAGGED, ViewTable
from uota.views import PRESETS, ViewSizePreset

# Largest expected share of wrong advice in all advice.
FALSE_DISCOVERY_RATE = 0.05
# Effects below these are not reported: of the lower end of the risk ratio's 95 % interval, and of the share of flagged
# views dropped minus that of the others dropped.
MIN_RISK_RATIO, MIN_GAIN = 1.25, 0.02


@dataclass(frozen=True)
class Advice:
    """Suggested changes to the augmentations.

    Attributes:
        sentences: one for each change, or one that says why there is none.
        settings: the changes as settings of `uota pretrain`; empty if nothing should change.
    """

    sentences: list[str]
    settings: dict[str, Any]

    @property
    def yaml(self) -> str:
        """The settings as the text of a YAML file."""
        return yaml.safe_dump(self.settings, sort_keys=False, default_flow_style=None) if self.settings else ""


class Effect(NamedTuple):
    """A rule tested on one size of views: its threshold, rounded, and the p-value; and the views for measuring it."""

    size_name: str
    size: ViewSizePreset
    rule: Rule
    threshold: float
    p_value: float
    harm: Float[ndarray, "views images"]
    flagged: Bool[ndarray, "views images"]
    counted: Bool[ndarray, "views images"]


def advise(table: ViewTable, counted: Bool[Tensor, "views images"], seed: int = 0) -> Advice:
    """Suggest which augmentations to make milder, with the figures that support each suggestion.

    Each rule is tested on each size of views by a permutation over images (see `uota.inspection.analysis.cuts`), and
    the false discovery rate over all these tests is held at 5 % (Benjamini and Hochberg, JRSS B 1995).

    The suggested settings name the preset, if it is one of the package's, and have only the fields that change, with
    values that replace those the views were made with: written field by field into the `view_options` of the settings
    that made the views, they give the advised views. As a second settings file they would replace `view_options` as a
    whole.

    Args:
        table: the scored views.
        counted: views that count: those that show something, and their own image.
        seed: seed of the permutations and of the intervals.
    """
    flagged = table.flagged & counted
    effects = _effects(table, flagged.numpy(), counted.numpy(), seed)
    significant = false_discovery_control([effect.p_value for effect in effects]) if effects else []
    changes: dict[str, dict[str, Any]] = {}
    sentences = []
    for effect, p_value in zip(effects, significant, strict=True):
        value = effect.rule.milder(effect.size, effect.threshold)
        if value is None or p_value > FALSE_DISCOVERY_RATE:
            continue
        cut = measure_cut(effect.harm, effect.flagged, effect.counted, effect.threshold, seed)
        if cut is not None and _is_large(cut):
            sentences.append((cut.flagged_dropped, _sentence(effect, cut, value)))
            changes.setdefault(effect.size_name, {})[effect.rule.field] = value
    if not sentences:
        return Advice([_nothing(int(flagged.sum()), int(counted.sum()), effects)], {})
    ordered = [sentence for _, sentence in sorted(sentences, key=lambda pair: -pair[0])]
    preset = {"views": table.preset.name} if table.preset.name in PRESETS else {}
    return Advice(ordered, preset | {"view_options": changes})


def _effects(table: ViewTable, flagged: ndarray, counted: ndarray, seed: int) -> list[Effect]:
    """Test all rules on all sizes of views that have enough flagged views."""
    names, effects = np.array(table.preset.size_name_of_view), []
    for name, size in zip(dict.fromkeys(names.tolist()), table.preset.sizes, strict=True):
        rows = names == name
        views = flagged[rows], counted[rows]
        for rule in RULES if views[0].sum() >= MIN_FLAGGED else ():
            harm = rule.harm(table.parameters).numpy()[rows]
            if np.ptp(harm[views[1]]) > 0:
                thresholds = candidate_thresholds(harm, views[1], rule.binary)
                threshold, p_value = best_threshold(harm, *views, thresholds, seed)
                effects.append(Effect(name, size, rule, rule.rounded(threshold), p_value, harm, *views))
    return effects


def _is_large(cut: Cut) -> bool:
    return cut.flagged_dropped >= MIN_FLAGGED and cut.lower >= MIN_RISK_RATIO and cut.gain >= MIN_GAIN


def _sentence(effect: Effect, cut: Cut, value: Any) -> str:
    rule = effect.rule
    others = f"{_figure(100 * cut.share_kept)} %" if cut.flagged_kept else "none"
    return (
        f"Of the {cut.dropped + cut.kept:,} {effect.size_name} views, {cut.dropped:,} {rule.words(effect.threshold)} "
        f"hold {cut.flagged_dropped:,} of the {cut.flagged_dropped + cut.flagged_kept:,} flagged views: "
        f"{_figure(100 * cut.share_dropped)} % of them are flagged against {others} of the others ({_ratio(cut)}); "
        f"{rule.field}={_shown(value)} {'makes half as many' if rule.binary else 'leaves them out'}."
    )


def _ratio(cut: Cut) -> str:
    if not cut.flagged_kept:
        return f"at least {_figure(cut.lower)} times as many, with 95 % confidence"
    interval = f"{_figure(cut.lower)} to {_figure(cut.upper)}" if np.isfinite(cut.upper) else f"{_figure(cut.lower)} up"
    return f"{_figure(cut.risk_ratio)} times, 95 % interval {interval}"


def _nothing(flagged: int, views: int, effects: list[Effect]) -> str:
    """Say why there is no advice, with the figures."""
    found = f"Nothing to change: {flagged:,} of the {views:,} views are flagged (outlier probability above {FLAGGED})"
    if not effects:
        return f"{found}{', too few to say which augmentations make them' if flagged else ''}."
    least = min(effect.p_value for effect in effects)
    return (
        f"{found}, and none of the augmentations makes them clearly more frequent "
        f"(smallest p-value of {len(effects)} tests: {least:.2g})."
    )


def _shown(value: Any) -> str:
    return f"({', '.join(f'{one:g}' for one in value)})" if isinstance(value, list) else f"{value:g}"


def _figure(value: float) -> str:
    return f"{value:.2g}" if value < 99.5 else f"{value:,.0f}"
