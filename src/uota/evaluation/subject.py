"""What a protocol is given: an encoder, labelled images, and a folder for what it leaves."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uota.data import Source, labels_of
from uota.origin import Found


@dataclass(frozen=True)
class Subject:
    """An encoder with the images it is evaluated on.

    Attributes:
        found: the encoder and how images are brought to it.
        train, test: labelled images.
        folder: where results are written.
    """

    found: Found
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
        """Number of classes, by the largest label."""
        return 1 + max(int(source.labels.max()) for source in (self.train, self.test) if source.labels is not None)
