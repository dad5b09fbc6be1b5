"""What a protocol is given: an encoder, labelled images, and a folder for what it leaves."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uota.data import Source, labels_of
from uota.runs.encoder import LoadedEncoder


@dataclass(frozen=True)
class LabelledEncoder:
    """An encoder with the images it is evaluated on.

    Attributes:
        found: the encoder and how images are brought to it.
        train, test: labelled images, the classes of training numbered from 0.
        folder: where results are written.
    """

    found: LoadedEncoder
    train: Source
    test: Source
    folder: Path

    def __post_init__(self) -> None:
        for source in (self.train, self.test):
            labels_of(source)

    @property
    def encoder(self) -> Any:
        """Images to features."""
        return self.found.encoder

    @property
    def classes(self) -> int:
        """Number of classes to learn, by the largest training label; labels of the test alone are misses."""
        return 1 + int(labels_of(self.train).max())
