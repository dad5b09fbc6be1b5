"""The result of an inspection: its table of views and everything computed from it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

from uota.inspection.analysis.advice import Advice, advise
from uota.inspection.analysis.calibration import Calibration, calibrations
from uota.inspection.analysis.causes import Causes, find_causes
from uota.inspection.analysis.history import History, read_history
from uota.inspection.analysis.plane import Plane, choose_mapped, planes
from uota.inspection.analysis.quality import Quality, find_flaws
from uota.inspection.analysis.ranking import rank_images
from uota.inspection.arbiters import ArbiterSet
from uota.inspection.input import InspectionInput
from uota.inspection.table import ViewTable
from uota.runs.run import Run
from uota.views import unnormalise


@dataclass(frozen=True)
class Findings:
    """The findings of an inspection: its table of views, and analyses that are computed when first used.

    Attributes:
        subject: the inspected images and their views.
        arbiters: the arbiters that scored the views.
        table: all scored views, with their augmentations and the verdict of each arbiter.
        runs: runs whose curves are shown.
    """

    subject: InspectionInput
    arbiters: ArbiterSet
    table: ViewTable
    runs: list[Run] = field(default_factory=list)

    @property
    def outlier_rate(self) -> float | None:
        """Estimated share of outlier views; None if the primary arbiter does not estimate it."""
        rate = self.table.verdict.outlier_rate
        return None if rate is None else float(rate)

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of that share; None if it is unknown."""
        share = self.table.share
        return None if share is None else (share.low, share.high)

    @property
    def none_found(self) -> bool:
        """Whether no outliers were found: the interval of the share holds 0."""
        return self.table.share is not None and self.table.share.none

    @property
    def share_in_words(self) -> str:
        """The estimated share with its interval, as text."""
        if self.outlier_rate is None:
            return "not estimated"
        if self.interval is None:
            return f"{100 * self.outlier_rate:.1f} %"
        low, high = self.interval
        return f"{100 * self.outlier_rate:.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f} %)"

    @property
    def mean_weight(self) -> list[float]:
        """Mean weight of the views of each size: global, then local."""
        sizes = [size.count for size in self.table.preset.sizes]
        return [float(part.mean()) for part in self.table.verdict.weights.split(sizes)]

    @property
    def counted(self) -> Bool[Tensor, "views images"]:
        """Views that causes and advice are found from: not injected ones, nor those that show nothing."""
        return self.table.shows_own_item & ~self.table.shows_nothing

    @cached_property
    def causes(self) -> Causes:
        """How much each augmentation parameter explains of the weights."""
        return find_causes(self.table, self.counted)

    @cached_property
    def advice(self) -> Advice:
        """Suggested changes to the augmentations."""
        return advise(self.table, self.counted)

    @cached_property
    def ranking(self) -> list[int]:
        """Places of the images in the table, the most unusual first."""
        return rank_images(self.table, by_probability=not self.none_found).tolist()

    @cached_property
    def mapped(self) -> list[int]:
        """Places of the images that are mapped: the most unusual, and a random sample of the others."""
        return choose_mapped(self.ranking, self.subject.pipeline.seed)

    @cached_property
    def quality(self) -> Quality:
        """Duplicates among the pictures, and pictures that are empty, dark, washed out, blurred, tiny or odd-shaped."""
        whole = self.subject.groups is not None
        return find_flaws(self.subject.source, None if whole else sorted(self.subject.order.tolist()))

    @cached_property
    def planes(self) -> list[Plane]:
        """Maps of the embeddings of these images in two dimensions."""
        return planes(self.table.embeddings, self.mapped, self.subject.pipeline.seed)

    @cached_property
    def calibrations(self) -> dict[str, Calibration]:
        """Calibration of each arbiter; empty without ground truth."""
        return calibrations(self.table)

    @cached_property
    def histories(self) -> list[History]:
        """Training curves of the runs."""
        return [read_history(run) for run in self.runs]

    def representatives(self, places: Sequence[int]) -> list[int]:
        """Return the index of an image to show for each of these items; of a group, that whose view fits best.

        Args:
            places: places of the items in the table.
        """
        if self.subject.groups is None:
            return self.table.item[list(places)].tolist()
        best = self.table.verdict.scores[:, list(places)].argmax(0)
        return self.table.parameters.image[best, torch.tensor(places)].tolist()

    def view_pictures(self, places: Sequence[int]) -> list[list[UInt8[Tensor, "channels _ _"]]]:
        """Make the views of some items again, as pictures: a list for each item, global views first.

        Args:
            places: places of the items in the table.
        """
        preset, chosen = self.table.preset, torch.tensor(places)
        made = self.subject.pipeline.render(self.table.source, self.table.parameters[:, chosen])
        pixels = [(unnormalise(views, preset.mean, preset.std) * 255).round().to(torch.uint8) for views in made]
        return [[view[place] for views in pixels for view in views] for place in range(len(chosen))]
