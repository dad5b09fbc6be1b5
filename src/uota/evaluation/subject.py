"""The input of an evaluation protocol: an encoder, labelled images, and a folder for results."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uota.data import Source, labels_of
from uota.runs.encoder import LoadedEncoder


@dataclass(frozen=True)
class LabelledEncoder:
    """An encoder with the images it is evaluated on.

    Attributes:
        loaded: the encoder and the preprocessing of its images.
        train, test: labelled images, with the training classes numbered from 0.
        folder: folder of results.
    """

    loaded: LoadedEncoder
    train: Source
    test: Source
    folder: Path

    def __post_init__(self) -> None:
        for source in (self.train, self.test):
            labels_of(source)

    @property
    def encoder(self) -> Any:
        """The encoder, which maps images to features."""
        return self.loaded.encoder

    @property
    def classes(self) -> int:
        """Number of training classes; test images of other classes count as misses."""
        return 1 + int(labels_of(self.train).max())
