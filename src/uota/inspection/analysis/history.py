"""What a run wrote down: its measures over time."""

import csv
import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from uota.console import printable
from uota.io.reading import read_text
from uota.runs.run import Run

logger = logging.getLogger(__name__)

# As a person reads them; what else is logged is left to the log.
MEASURES = {
    "loss": "loss",
    "ess": "effective sample size",
    "outlier_rate": "estimated outlier rate",
    "candidates_outlier_rate": "estimated outlier rate of candidates",
    "true_outlier_rate": "true outlier rate",
    "auroc": "AUROC of the weights",
    "rankme": "RankMe",
    "accuracy": "kNN accuracy in training, %",
}


@dataclass(frozen=True)
class History:
    """A run over time.

    Attributes:
        name: of the run's folder.
        about: method, arbiter and length, for a person.
        curves: of each measure (epochs done, value).
    """

    name: str
    about: str
    curves: dict[str, list[tuple[float, float]]]


def history_of(run: Run) -> History:
    """Read a run's logs, of all the times that it was resumed.

    Raises:
        UotaError: this is no folder of a run.
    """
    settings = run.settings()
    curves: dict[str, dict[float, float]] = {}
    for log in sorted(run.folder.glob("logs/version_*/metrics.csv"), key=_version):
        for name, epochs, value in _logged(log):
            curves.setdefault(name, {})[epochs] = value
    about = f"{settings.method}, arbiter {settings.arbiter}, seed {settings.seed}"
    drawn = {name: sorted(curve.items()) for name, curve in curves.items() if curve}
    return History(run.folder.resolve().name, about, drawn)


def _logged(log: Path) -> Iterator[tuple[str, float, float]]:
    """Measure, epochs done and value of all that a log tells; one that cannot be read is named."""
    try:
        lines = read_text(log).splitlines()
    except (OSError, ValueError) as error:
        logger.warning(f"{printable(log)} is not drawn: {printable(str(error))}")
        return
    for row, name in product(csv.DictReader(lines), MEASURES):
        with suppress(ValueError, TypeError, KeyError):
            yield name, float(row["epoch"]) + 1, float(row[name])


def _version(log: Path) -> int:
    return int(log.parent.name.rpartition("_")[2])
