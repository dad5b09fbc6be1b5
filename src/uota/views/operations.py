"""Operations on some of the views of a batch, and a plan of several that a device follows without being asked."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64, Num
from torch import Tensor

from uota.views.colours import Work


class Operation(NamedTuple):
    """An operation on some views.

    Attributes:
        work: changes views in place, given a value for each.
        rows: the views that need it; None: all.
        values: their values.
    """

    work: Work
    rows: Int64[Tensor, " needed"] | None
    values: Num[Tensor, "needed 1 1 1 *rest"]

    def apply(self, x: Float[Tensor, "n channels height width"]) -> None:
        """Change views in place; they are copied only if some do not need it."""
        if self.rows is None:
            self.work(x, self.values)
            return
        part = x[self.rows]
        self.work(part, self.values)
        x[self.rows] = part


@dataclass
class Plan:
    """Operations in their order; the numbers of all lie in two tensors, which are quick to send and to copy.

    Attributes:
        steps: of each operation its work, whether it is on all views, and the shape of its values.
        rows: the views that need each operation that is not on all, one after the other.
        values: the values of the operations, one after the other.
    """

    steps: list[tuple[Work, bool, tuple[int, ...]]]
    rows: Int64[Tensor, " rows"]
    values: Float[Tensor, " values"]

    @classmethod
    def of(cls, operations: Sequence[Operation]) -> "Plan":
        """Make a plan of at least one operation."""
        steps = [(each.work, each.rows is None, tuple(each.values.shape)) for each in operations]
        rows = [each.rows for each in operations if each.rows is not None]
        values = torch.cat([each.values.flatten() for each in operations])
        return cls(steps, torch.cat(rows) if rows else torch.empty(0, dtype=torch.int64), values)

    def each(self, change: Callable[[Tensor], Tensor]) -> "Plan":
        """Return the same plan with changed tensors, such as moved ones."""
        return replace(self, rows=change(self.rows), values=change(self.values))

    def operations(self) -> Iterator[Operation]:
        """Yield the operations."""
        row = value = 0
        for work, on_all, shape in self.steps:
            size = torch.Size(shape).numel()
            values = self.values[value : value + size].view(shape)
            yield Operation(work, None if on_all else self.rows[row : row + shape[0]], values)
            row, value = row + (0 if on_all else shape[0]), value + size
