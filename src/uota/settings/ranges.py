"""What values settings may have: a table by the name of the setting, which means the same wherever it stands."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import Field, fields
from math import isfinite
from numbers import Integral, Real
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from uota.errors import UotaError

# Far above whatever is meant, and small enough that products of a few counts fit 64 bits, and rates 32.
LARGEST, LARGEST_RATE = 10**9, 10**38
# A number that is found out where the work is done.
AUTO = "auto"
# Of mappings within settings: views' options have two levels.
DEEPEST = 8


class Range(NamedTuple):
    """Numbers that a setting may have.

    Attributes:
        low, high: its ends.
        whole: only whole numbers.
        above: the lower end is not in it.
        below: the upper end is not in it.
        what: the kind of number, for messages.
        auto: the word auto is allowed too.
    """

    low: int
    high: int = LARGEST_RATE
    whole: bool = False
    above: bool = False
    below: bool = False
    what: str = "a number"
    auto: bool = False

    def __contains__(self, value: Any) -> bool:
        if self.auto and value == AUTO:
            return True
        kind = Integral if self.whole else Real
        if isinstance(value, bool) or not isinstance(value, kind):
            return False
        low = self.low < value if self.above else self.low <= value  # type: ignore[operator]
        return bool(low and (value < self.high if self.below else value <= self.high))

    def __str__(self) -> str:
        what = "a whole number" if self.whole else self.what
        low = f"above {self.low}" if self.above else f"of at least {self.low}"
        if self.high == LARGEST_RATE:
            return f"{what} {low}, and finite"
        high = f"{'below' if self.below else 'at most'} {self.high}"
        return f"{what} {low} and {high}{', or auto' if self.auto else ''}"


COUNT = Range(1, LARGEST, whole=True)
RATE = Range(0)
SHARE = Range(0, 1)

KINDS: dict[Any, str] = {str: "text", bool: "true or false"}
RANGES = {
    "epochs": Range(1, 10**6, whole=True),
    "batch_size": Range(1, 10**6, whole=True),
    "accumulate": Range(1, 10**6, whole=True),
    "seed": Range(0, 2**32 - 1, whole=True),  # what numpy takes
    "local_views": Range(0, 1000, whole=True),
    "size": Range(8, 10**4, whole=True),
    "frozen_stages": Range(0, 1000, whole=True),
    "candidates": Range(1, 1000, whole=True),
    "anchors": Range(1, 1000, whole=True),
    "steps": COUNT,
    "checkpoint_every": COUNT,
    "warmup": SHARE._replace(what="a share of training"),
    "warmup_steps": Range(0, LARGEST, whole=True),
    # Each is a process, or a thread; torch crashes where the system gives it no more of them.
    "devices": Range(1, 1024, whole=True, auto=True),
    "nodes": Range(1, 10**4, whole=True),
    "workers": Range(0, 512, whole=True),
    "threads": Range(1, 1024, whole=True),
    "inject": SHARE._replace(below=True, what="a share of the views"),
    "start": SHARE._replace(what="a share of training"),
    "tau": RATE._replace(above=True),
    "ess": SHARE._replace(above=True),
    "smallest_crop": SHARE._replace(above=True, what="a share of the area"),
    "cache": Range(8, 10**4, whole=True),
    "image_megabytes": Range(1, 10**6, whole=True),
    "shard_size": Range(1, 10**6, whole=True),
    "images": Range(1, 10**5, whole=True),
    "drops": Range(0, 1, above=True, below=True, what="a share of training"),
    "learning_rate": RATE._replace(above=True),
    "head_learning_rate": RATE._replace(above=True),
    "final_learning_rate": RATE,
    "bias_rate": RATE,
    "encoder_rate": RATE,
    "norm_adaptation": SHARE,
    "kept_share": SHARE._replace(below=True),
    "late_factor": RATE._replace(above=True),
    "weight_decay": RATE,
    "momentum": SHARE._replace(below=True),
}


def flat(name: str) -> dict[str, str]:
    """Metadata of a field whose name outside its section is another, such as data of data.source."""
    return {"flat": name}


def flat_name(field: Field[Any]) -> str:
    """The name of a setting outside its section, in messages, flags and tables."""
    return field.metadata.get("flat", field.name)


def check_settings(settings: Any, **ranges: Range) -> None:
    """Check every field of a dataclass of settings by its name and its type.

    Args:
        settings: the dataclass.
        ranges: of settings that mean something else here than elsewhere.

    Raises:
        UotaError: a number is out of its range, text is empty, or a choice is none of those there are.
    """
    hints = get_type_hints(type(settings))
    for field in fields(settings):
        name, value = flat_name(field), getattr(settings, field.name)
        if value is None and type(None) in get_args(hints[field.name]):
            continue
        if name in ranges:
            check_number(name, value, ranges[name])
        else:
            _check(name, value, hints[field.name])


# Ranges of options that mean something else in one command: the steps of `inspect` are those of the arbiter's head.
OF_COMMANDS = {"inspect": {"steps": Range(0, LARGEST, whole=True)}}


def check_given(name: str, value: Any, command: str = "") -> None:
    """Check a value from the command line, which need not be of a dataclass.

    Raises:
        UotaError: a number is out of its range, or text is empty or has a null byte.
    """
    texts = [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
    if not all(text.strip() for text in texts):
        raise UotaError(f"{name} is empty; give it a value, or leave it out")
    if not all(_is_name(text) for text in texts):
        raise UotaError(f"{name} has characters that no file and no name has, such as a null byte; write it again")
    own = OF_COMMANDS.get(command, {})
    if value is None:
        return
    if name in own:
        check_number(name, value, own[name])
    elif name in RANGES:
        _check(name, value, None)


def count_ranks(devices: int | str, nodes: int) -> int:
    """Number of processes of that many devices on each node; one for each node while devices are on auto."""
    return nodes * (devices if isinstance(devices, int) else 1)


def check_multiple(batch_size: int, devices: int | str, nodes: int = 1) -> None:
    """Check that a batch can be shared by the devices of all nodes.

    Raises:
        UotaError: it cannot.
    """
    if batch_size % count_ranks(devices, nodes):
        several = f" on each of {nodes} nodes" if nodes > 1 else ""
        raise UotaError(f"batch_size {batch_size} is no multiple of devices {devices}{several}; make it one")


def check_pixel_range(pixel_range: Any) -> tuple[float, float] | None:
    """Require two finite numbers, the second larger; None passes.

    Raises:
        UotaError: it is something else.
    """
    if pixel_range is None:
        return None
    try:
        black, white = (float(end) for end in pixel_range)
    except (TypeError, ValueError) as error:
        raise UotaError(
            f"pixel_range is {pixel_range}; give the values of black and white, such as [0,4095]"
        ) from error
    if not (isfinite(black) and isfinite(white) and black < white):
        raise UotaError(f"pixel_range is [{black:g},{white:g}]; black must be a number below white")
    return black, white


def check_number(name: str, value: Any, allowed: Range) -> None:
    """Check a number.

    Raises:
        UotaError: it is not in the range.
    """
    if value not in allowed:
        raise UotaError(f"{name} is {_short(value)}; it must be {allowed}")


def _check(name: str, value: Any, hint: Any) -> None:
    if name in RANGES:
        _check_numbers(name, value)
        return
    if get_origin(hint) is Literal and value not in get_args(hint):
        raise UotaError(f"{name} is {_short(value)}; choose one of {', '.join(map(str, get_args(hint)))}")
    if hint in KINDS and not isinstance(value, hint):
        raise UotaError(f"{name} is {_short(value)}; it must be {KINDS[hint]}")
    if isinstance(value, str) and not (value.strip() and _is_name(value)):
        raise UotaError(f"{name} is empty, or has characters that no name has; set it, or leave it out")
    if isinstance(value, Mapping):
        _check_inside(name, value, DEEPEST)


def _check_numbers(name: str, value: Any) -> None:
    """Check a number, or each number of a list."""
    for number in value if isinstance(value, list | tuple) else [value]:
        check_number(name, number, RANGES[name])


def _is_name(text: str) -> bool:
    """Whether text could name a file: it has no null byte, and no half of a character as JSON can spell it."""
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _check_inside(name: str, value: Any, deeper: int) -> None:
    """Check what lies in a mapping, whose own checks know its names."""
    if isinstance(value, Mapping | Sequence) and not isinstance(value, str):
        if not deeper:
            raise UotaError(f"{name} is nested too deeply; write it as --help shows it")
        for each in value.values() if isinstance(value, Mapping) else value:
            _check_inside(name, each, deeper - 1)
    elif isinstance(value, int | float) and not abs(value) <= LARGEST_RATE:
        raise UotaError(f"{name} has the number {_short(value)}; it must be finite, and of at most 38 digits")


def _short(value: Any) -> str:
    """A value for a message: of a number with hundreds of digits the first ones."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
