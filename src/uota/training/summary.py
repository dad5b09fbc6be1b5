"""What a run tells at its end."""

import time
from dataclasses import dataclass
from datetime import timedelta


class Session:
    """What has been done since a run was started or resumed.

    Attributes:
        steps: number of steps.
        images: number of images of those steps, over all ranks and counted in every pass.
        seconds: time until the end of the last step.
    """

    def __init__(self) -> None:
        self.steps = self.images = 0
        self.seconds = 0.0
        self._began = time.perf_counter()

    def add(self, images: int) -> None:
        """Add a step that has just ended, with its number of images."""
        self.steps += 1
        self.images += images
        self.seconds = time.perf_counter() - self._began

    @property
    def images_per_second(self) -> float:
        """Images per second, or 0 before the first step has ended."""
        return self.images / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Summary:
    """Length, speed and outcome of a run.

    Attributes:
        steps: number of steps of the whole run.
        session: the part since the run was started or resumed.
        first_loss: loss of the first line that was printed; None: not known.
        last: measures of the last line.
    """

    steps: int
    session: Session
    first_loss: float | None
    last: dict[str, float]

    def lines(self) -> list[str]:
        """Return the lines to show."""
        now = self.session
        if not now.steps:
            return [f"nothing is left to train: all {self.steps} steps were done before"]
        resumed = f", {now.steps} of them since the run was resumed" if now.steps < self.steps else ""
        duration = timedelta(seconds=round(now.seconds))
        lines = [
            f"trained {self.steps} steps{resumed}, in {duration} (h:mm:ss) at {now.images_per_second:.3g} images/s"
        ]
        if "loss" in self.last:
            lines.append(f"loss {self._change()}")
        if "outlier_rate" in self.last:
            lines.append(f"estimated share of outlier views at the end: {100 * self.last['outlier_rate']:.1f} %")
        return lines

    def _change(self) -> str:
        if self.first_loss is None:
            return f"{self.last['loss']:.3g} at the end"
        return f"{self.first_loss:.3g} → {self.last['loss']:.3g} (from the first line to the last)"
