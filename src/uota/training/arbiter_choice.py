"""The arbiter of a run with frozen eyes: which depths it sees, by which head and which score."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from uota.arbitration import CohortScore, Contrast
from uota.arbitration.arbiter import Score
from uota.encoders.eyes import DEPTHS
from uota.errors import UotaError
from uota.io.atomic import write_text_atomically
from uota.io.reading import read_json
from uota.settings.parsing import settings_in_file

# No encoder has features of this width.
WIDEST = 10**5


@dataclass
class ArbiterChoice:
    """What an arbiter with frozen eyes was fitted as; the fitted means and the head are in the checkpoint."""

    name: str
    """Description of the features and the score."""
    parts: list[str]
    """Depths of the features."""
    widths: list[int]
    """Width of the features of each depth."""
    head_steps: int = 0
    """Training steps of the head; 0: there is none."""
    temperature: float | None = None
    """Temperature of the contrast; null: the score is the cohort score."""
    found: dict[str, float] = field(default_factory=dict)
    """Average precision of each candidate in finding exchanged views; empty: none were compared."""

    def __post_init__(self) -> None:
        if len(self.parts) != len(self.widths) or not self.parts or not set(self.parts) <= set(DEPTHS):
            raise UotaError(f"parts are {self.parts} of widths {self.widths}; give one width for each of some depths")
        if not all(0 < width < WIDEST for width in self.widths):
            raise UotaError(f"widths are {self.widths}; they must be from 1 to {WIDEST}")
        if self.head_steps < 0 or (self.temperature is not None and not self.temperature > 0):
            raise UotaError("head_steps or temperature is out of its range; they must not be negative")

    @property
    def score(self) -> Score:
        """The score that was chosen."""
        return CohortScore() if self.temperature is None else Contrast(self.temperature)


def write_choice(choice: ArbiterChoice, file: Path) -> None:
    """Write the choice of a run to its file."""
    write_text_atomically(file, json.dumps(asdict(choice), indent=1))


def read_choice(file: Path) -> ArbiterChoice:
    """Read the choice of a run.

    Raises:
        UotaError: the file is missing or damaged.
    """
    try:
        return settings_in_file(ArbiterChoice, read_json(file), file)
    except (OSError, ValueError) as error:
        raise UotaError(f"{file}, which says what the run's arbiter is, cannot be read: {error}; restore it") from error
