"""The result of an inspection: its table of views and everything computed from it."""

from dataclasses import dataclass, field
from functools import cached_property

import torch

from uota.inspection.analysis.advice import Advice, advise
from uota.inspection.analysis.calibration import Calibration, calibrations
from uota.inspection.analysis.causes import Causes, find_causes
from uota.inspection.analysis.filing import Filing
from uota.inspection.analysis.history import History, read_history
from uota.inspection.analysis.plane import Plane, planes
from uota.inspection.analysis.quality import Quality, find_flaws
from uota.inspection.arbiters import ArbiterSet
from uota.inspection.input import InspectionInput
from uota.inspection.table import ViewTable
from uota.runs.run import Run


@dataclass(frozen=True)
class Findings:
    """The findings of an inspection: its table of views, and analyses that are computed when first used.

    Attributes:
        subject: the inspected images and their views.
        arbiters: the arbiters that scored the views.
        table: all scored views, with their augmentations and the verdict of each arbiter.
        filing: verdicts on all files of the groups; None: not requested.
        runs: runs whose curves are shown.
    """

    subject: InspectionInput
    arbiters: ArbiterSet
    table: ViewTable
    filing: Filing | None = None
    runs: list[Run] = field(default_factory=list)

    @property
    def outlier_rate(self) -> float | None:
        """Estimated share of outlier views; None if the primary arbiter does not estimate it."""
        return self.table.verdict.outlier_rate

    @property
    def mean_weight(self) -> list[float]:
        """Mean weight of the views of each size: global, then local."""
        sizes = [size.count for size in self.table.preset.sizes]
        return [float(part.mean()) for part in self.table.verdict.weights.split(sizes)]

    @property
    def misfiled(self) -> float | None:
        """Estimated share of files in a wrong folder."""
        return self.filing.share if self.filing else None

    @cached_property
    def causes(self) -> Causes:
        """How much each augmentation parameter explains of the weights."""
        return find_causes(self.table)

    @cached_property
    def advice(self) -> Advice:
        """Suggested changes to the augmentations."""
        return advise(self.table, self.subject.settings.views.options)

    @cached_property
    def quality(self) -> Quality:
        """Duplicates among the pictures, and pictures that are empty, dark, washed out, blurred, tiny or odd-shaped."""
        return find_flaws(self.subject.source)

    @cached_property
    def planes(self) -> list[Plane]:
        """Projections of the embeddings to two dimensions."""
        return planes(self.table.embeddings, self.subject.pipeline.seed)

    @cached_property
    def calibrations(self) -> dict[str, Calibration]:
        """Calibration of each arbiter; empty without ground truth."""
        return calibrations(self.table)

    @cached_property
    def histories(self) -> list[History]:
        """Training curves of the runs."""
        return [read_history(run) for run in self.runs]

    def representatives(self, images: int) -> list[int]:
        """Return the index of an image to show for each of the first items; for a group, that of its best view."""
        if self.subject.groups is None:
            return self.table.item[:images].tolist()
        best = self.table.verdict.weights[:, :images].argmax(0)
        return self.table.parameters.image[best, torch.arange(len(best))].tolist()
