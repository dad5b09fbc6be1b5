"""Which settings of the augmentations can be made milder, and how."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import exp, log
from typing import Any

from torch import Tensor

from uota.views import ViewParameters, ViewSizePreset

# Factor suggested for the probability of an operation that is either applied or not.
LESS_OFTEN = 0.5


@dataclass(frozen=True)
class Rule:
    """A setting of one size of views that can be made milder.

    Attributes:
        field: name of the field of `ViewSizePreset`.
        harm: number for each view that grows with the strength of the augmentation.
        rounded: rounds a threshold of the harm as the words and the setting give it.
        milder: new value of the field for a rounded threshold; None: it would not change.
        words: description of the views above a rounded threshold.
        binary: the operation is either applied or not, so it can only be applied less often.
    """

    field: str
    harm: Callable[[ViewParameters], Tensor]
    rounded: Callable[[float], float]
    milder: Callable[[ViewSizePreset, float], Any]
    words: Callable[[float], str]
    binary: bool = False


def _area(parameters: ViewParameters) -> Tensor:
    return parameters.box[..., 2:].double().prod(-1) / parameters.image_size.double().prod(-1)


def _less_elongated(size: ViewSizePreset, most: float) -> list[float] | None:
    low, high = size.ratio
    value = [max(low, round(exp(-most), 2)), min(high, round(exp(most), 2))]
    return value if value != [low, high] and value[0] <= value[1] else None


def _factor_rule(field: str) -> Rule:
    return Rule(
        field,
        lambda parameters: (getattr(parameters, field).double() - 1).abs(),
        partial(round, ndigits=2),
        lambda size, most: most if most < getattr(size, field) else None,
        lambda most: f"views with a {field} factor further than {most:.2f} from 1",
    )


def _often_rule(field: str, done: Callable[[ViewParameters], Tensor], words: str) -> Rule:
    def milder(size: ViewSizePreset, most: float) -> Any:
        value = getattr(size, field)
        return [LESS_OFTEN * one for one in value] if isinstance(value, tuple) else LESS_OFTEN * value

    return Rule(field, lambda parameters: done(parameters).double(), float, milder, lambda most: words, binary=True)


RULES = (
    Rule(
        "scale",
        lambda parameters: -_area(parameters),
        lambda most: float(f"{most:.2g}"),
        lambda size, most: [-most, size.scale[1]] if size.scale[0] < -most <= size.scale[1] else None,
        lambda most: f"crops under {-100 * most:.3g} % of the image",
    ),
    Rule(
        "ratio",
        lambda parameters: (parameters.box[..., 3] / parameters.box[..., 2]).double().log().abs(),
        lambda most: log(round(exp(most), 2)),
        _less_elongated,
        lambda most: f"crops more than {exp(most):.2f} times as long one way as the other",
    ),
    *(_factor_rule(field) for field in ("brightness", "contrast", "saturation")),
    Rule(
        "hue",
        lambda parameters: parameters.hue.double().abs(),
        partial(round, ndigits=3),
        lambda size, most: most if most < size.hue else None,
        lambda most: f"views with a hue shifted by more than {most:.3f} turns",
    ),
    _often_rule("grey_probability", lambda parameters: parameters.grey, "views turned grey"),
    _often_rule("blur_probability", lambda parameters: parameters.blur_sigma > 0, "blurred views"),
    _often_rule("solarise_probability", lambda parameters: parameters.solarise, "solarised views"),
)
