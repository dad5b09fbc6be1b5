"""The result of an inspection, as data."""

from dataclasses import dataclass, field
from functools import cached_property

import torch

from uota.inspection.analysis.advice import Advice, advise
from uota.inspection.analysis.calibration import Calibration, calibrations
from uota.inspection.analysis.causes import Causes, find_causes
from uota.inspection.analysis.filing import Filing
from uota.inspection.analysis.history import History, history_of
from uota.inspection.analysis.plane import Plane, planes
from uota.inspection.arbiters import ArbiterSet
from uota.inspection.input import InspectionInput
from uota.inspection.table import ViewTable
from uota.runs.run import Run

SHOWN, JUDGED = 60, 512
PAGE, TABLES = ".html", (".parquet", ".csv")


@dataclass(frozen=True)
class Findings:
    """What an inspection found: its table of views, and what follows from it.

    Attributes:
        subject: what was inspected.
        panel: who judged.
        table: every judged view: how it was made, what each arbiter says of it.
        filing: of groups, every file; None where that was not asked for.
        runs: whose history is shown.
    """

    subject: InspectionInput
    panel: ArbiterSet
    table: ViewTable
    filing: Filing | None = None
    runs: list[Run] = field(default_factory=list)

    @property
    def outlier_rate(self) -> float | None:
        """Estimated share of outlier views; None where the arbiter estimates none."""
        return self.table.verdict.outlier_rate

    @property
    def mean_weight(self) -> list[float]:
        """Of global and of local views."""
        sizes = [group.count for group in self.table.preset.sizes]
        return [float(part.mean()) for part in self.table.verdict.weights.split(sizes)]

    @property
    def misfiled(self) -> float | None:
        """Estimated share of files in a wrong folder."""
        return self.filing.share if self.filing else None

    @cached_property
    def causes(self) -> Causes:
        """Which parameters of the augmentations explain the weights."""
        return find_causes(self.table)

    @cached_property
    def advice(self) -> Advice:
        """What to change of the augmentations."""
        return advise(self.table, self.subject.settings.view_options)

    @cached_property
    def planes(self) -> list[Plane]:
        """Embeddings in two dimensions."""
        return planes(self.table.embeddings, self.subject.pipeline.seed)

    @cached_property
    def calibrations(self) -> dict[str, Calibration]:
        """Of each arbiter, where the truth is known."""
        return calibrations(self.table)

    @cached_property
    def histories(self) -> list[History]:
        """Of the runs."""
        return [history_of(run) for run in self.runs]

    def faces(self, images: int) -> list[int]:
        """The picture that stands for each of the first items: the image itself, or of a group its best view's."""
        if self.subject.groups is None:
            return self.table.item[:images].tolist()
        best = self.table.verdict.weights[:, :images].argmax(0)
        return self.table.parameters.image[best, torch.arange(len(best))].tolist()
