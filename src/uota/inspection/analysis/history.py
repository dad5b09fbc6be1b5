"""The training curves of a run, read from its logs."""

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

# Displayed names of the measures that are drawn; others stay in the log.
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
    """The training curves of a run.

    Attributes:
        name: name of the run's folder.
        about: displayed method, arbiter and seed.
        curves: pairs (epochs done, value) of each measure.
    """

    name: str
    about: str
    curves: dict[str, list[tuple[float, float]]]


def read_history(run: Run) -> History:
    """Read and merge a run's logs, one from each time it was started or resumed.

    Raises:
        UotaError: the folder is not that of a run.
    """
    settings = run.settings()
    curves: dict[str, dict[float, float]] = {}
    for log in sorted(run.folder.glob("logs/version_*/metrics.csv"), key=_version):
        for name, epochs, value in _logged(log):
            curves.setdefault(name, {})[epochs] = value
    about = f"{settings.method.name}, arbiter {settings.arbitration.arbiter}, seed {settings.runtime.seed}"
    drawn = {name: sorted(curve.items()) for name, curve in curves.items() if curve}
    return History(run.folder.resolve().name, about, drawn)


def _logged(log: Path) -> Iterator[tuple[str, float, float]]:
    """Yield measure, epochs done and value of all entries of a log; print a warning if it cannot be read."""
    try:
        lines = read_text(log).splitlines()
    except (OSError, ValueError) as error:
        logger.warning(f"{printable(log)} cannot be read and is not drawn: {printable(str(error))}")
        return
    for row, name in product(csv.DictReader(lines), MEASURES):
        with suppress(ValueError, TypeError, KeyError):
            yield name, float(row["epoch"]) + 1, float(row[name])


def _version(log: Path) -> int:
    return int(log.parent.name.rpartition("_")[2])
