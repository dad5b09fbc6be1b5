"""Splits of a data set: recognised by the names of its parts, or made by setting a share aside."""

import hashlib
import re
from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Int64

from uota.data.source import Split

# Share of each class that becomes the test split of a folder without one.
TEST_SHARE = 0.2
UNLABELLED = -1
# Common names of splits, in any case: train, Training, train2017, test_set, validation-images.
_TRAIN = ("train", "training")
_TEST = ("test", "testing", "tests", "val", "valid", "validation", "dev", "eval", "evaluation", "holdout")
_SUFFIX = ("", "set", "data", "images", "split", "imgs")


def split_of(name: str) -> Split | None:
    """The split that the name of a folder, a shard or a saved split stands for; None if none.

    >>> [split_of(name) for name in ("Train", "val2017", "test_set", "training-images", "dogs")]
    ['train', 'test', 'test', 'train', None]
    """
    letters = re.sub(r"[^a-z]", "", name.lower())
    for split, words in (("train", _TRAIN), ("test", _TEST)):
        if any(letters == f"{word}{suffix}" for word in words for suffix in _SUFFIX):
            return split  # type: ignore[return-value]
    return None


def test_names_first(names: Iterable[str]) -> list[str]:
    """Names of test splits: test before validation, and so on in the order of `_TEST`."""

    def place(name: str) -> int:
        letters = re.sub(r"[^a-z]", "", name.lower())
        return next(number for number, word in enumerate(_TEST) if letters.startswith(word))

    return sorted((name for name in names if split_of(name) == "test"), key=lambda name: (place(name), name))


def in_share(
    names: Iterable[bytes], classes: Int64[np.ndarray, " len"], split: Split, test_share: float = TEST_SHARE
) -> Bool[np.ndarray, " len"]:
    """True for the images of a split, of which test is a share of each class, chosen by a hash of the name.

    The choice depends on neither order nor machine, and separates pictures that were taken in a row. Images without a
    label belong to training.
    """
    first_digits = (int.from_bytes(hashlib.sha256(name).digest()[:8]) for name in names)
    rank = np.fromiter(first_digits, dtype=np.uint64, count=len(classes))
    test = np.zeros(len(classes), dtype=bool)
    for of_class in np.unique(classes[classes != UNLABELLED]):
        members = np.flatnonzero(classes == of_class)
        test[members[rank[members].argsort(kind="stable")][: round(test_share * len(members))]] = True
    return test if split == "test" else ~test
