"""Which parts of a data set are for training and which for evaluation, by their names; and a share where none is."""

import hashlib
import re
from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Int64

from uota.data.source import Split

# Share of each class that is set aside for evaluation where the data itself does not say what to set aside.
TEST_SHARE = 0.2
UNLABELLED = -1
# The names of parts as people spell them, whatever their case: train, Training, train2017, test_set, validation-images.
_TRAIN = ("train", "training")
_TEST = ("test", "testing", "tests", "val", "valid", "validation", "dev", "eval", "evaluation", "holdout")
_SUFFIX = ("", "set", "data", "images", "split", "imgs")


def split_of(name: str) -> Split | None:
    """The split that a name of a folder, a shard or a saved part stands for.

    >>> [split_of(name) for name in ("Train", "val2017", "test_set", "training-images", "dogs")]
    ['train', 'test', 'test', 'train', None]
    """
    letters = re.sub(r"[^a-z]", "", name.lower())
    for split, words in (("train", _TRAIN), ("test", _TEST)):
        if any(letters == f"{word}{suffix}" for word in words for suffix in _SUFFIX):
            return split  # type: ignore[return-value]
    return None


def test_names_first(names: Iterable[str]) -> list[str]:
    """Names of parts for evaluation: those called test before those called validation, and so on as in `_TEST`."""

    def place(name: str) -> int:
        letters = re.sub(r"[^a-z]", "", name.lower())
        return next(number for number, word in enumerate(_TEST) if letters.startswith(word))

    return sorted((name for name in names if split_of(name) == "test"), key=lambda name: (place(name), name))


def in_share(names: Iterable[bytes], classes: Int64[np.ndarray, " len"], split: Split) -> Bool[np.ndarray, " len"]:
    """True for the images of a split where a fifth of each class is test, by a hash of the name.

    So neither order nor machine matters, and pictures taken in a row are parted. Images without a label are for
    training.
    """
    first_digits = (int.from_bytes(hashlib.sha256(name).digest()[:8]) for name in names)
    rank = np.fromiter(first_digits, dtype=np.uint64, count=len(classes))
    test = np.zeros(len(classes), dtype=bool)
    for of_class in np.unique(classes[classes != UNLABELLED]):
        members = np.flatnonzero(classes == of_class)
        test[members[rank[members].argsort(kind="stable")][: round(TEST_SHARE * len(members))]] = True
    return test if split == "test" else ~test
