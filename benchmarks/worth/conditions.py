"""The conditions of the comparison: which images there are, and which of their views are wrong."""

from dataclasses import dataclass, field
from typing import Any

from benchmarks.worth.drawings import open_drawings
from uota.data import Source, open_source


@dataclass(frozen=True)
class Condition:
    """Images, and settings of `uota pretrain` that belong to them.

    Attributes:
        settings: settings of the run, except method, arbiter and seed.
        along_the_way: whether the encoder is evaluated after every eighth of training, not only at the end.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    along_the_way: bool = False

    def source(self, split: str) -> Source:
        """Open the images of a split."""
        data = self.settings["data"]
        return open_drawings(split) if data == "drawings" else open_source(data, split)


def _injected(share: float, epochs: int = 4, inject_from: str = "strangers") -> dict[str, Any]:
    return {"data": "demo", "inject": share, "inject_from": inject_from, "epochs": epochs}


CONDITIONS = {
    "clean": Condition({"data": "demo", "epochs": 4}),
    "scenes": Condition({"data": "demo-scenes", "epochs": 4}),
    "injected-25": Condition(_injected(0.25)),
    "drawings": Condition({"data": "drawings", "views": "scenes", "epochs": 10}),
    "injected-10": Condition(_injected(0.10)),
    "injected-25-batch": Condition(_injected(0.25, inject_from="batch")),
    "injected-10-batch": Condition(_injected(0.10, inject_from="batch")),
    # Three times as long, to see whether a gain is more than faster learning.
    "scenes-long": Condition({"data": "demo-scenes", "epochs": 12}, along_the_way=True),
    "injected-25-long": Condition(_injected(0.25, epochs=12), along_the_way=True),
}
