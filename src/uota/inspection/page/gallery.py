"""A gallery like Figure 1 of the UOTA paper: each image in a red frame, followed by its views by descending weight."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from textwrap import wrap

from jaxtyping import Bool, Float, UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from uota.errors import UotaError
from uota.io.atomic import atomic_write

CELL = 1.05  # inches
IMAGE_FRAME = OUTLIER = "#d62728"


@dataclass(frozen=True)
class GalleryRow:
    """An image and its views, as one row of the gallery.

    Attributes:
        image: the image, uint8.
        views: one picture per view, each (channels, h, w) in [0, 1]; their sizes may differ.
        weights: weights of the views.
        wrong: ground truth, which views are outliers; None: unknown.
    """

    image: UInt8[Tensor, "channels height width"]
    views: list[Float[Tensor, "channels _ _"]]
    weights: Float[Tensor, " views"]
    wrong: Bool[Tensor, " views"] | None


def draw_gallery(rows: list[GalleryRow], title: str, out: Path | BytesIO) -> None:
    """Draw the gallery and write it, in the format of the file's suffix (PNG in memory).

    Raises:
        UotaError: the file cannot be written.
    """
    columns = 1 + max(len(row.views) for row in rows)
    figure = Figure(figsize=(columns * CELL, len(rows) * (CELL + 0.28) + 0.75), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle("\n".join(wrap(title, 15 * columns)), fontsize=9, x=0.01, ha="left")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes, row in zip(grid, rows, strict=True):
        _draw_row(list(axes), row)
    if any(row.wrong is not None for row in rows):
        figure.supxlabel(
            "red label: this view does not show its image's object (ground truth)", fontsize=7, color=OUTLIER
        )
    try:
        if isinstance(out, Path):
            with atomic_write(out) as unfinished:
                figure.savefig(unfinished, dpi=150, format=out.suffix[1:])
        else:
            figure.savefig(out, dpi=150)
    except (OSError, ValueError) as error:
        raise UotaError(f"the picture cannot be written to {out}: {error}; choose another --out") from error


def _draw_row(axes: list[Axes], row: GalleryRow) -> None:
    for axis in axes:
        axis.axis("off")
    _show(axes[0], row.image.float() / 255)
    _frame(axes[0], IMAGE_FRAME, 2.5)
    for axis, view in zip(axes[1:], row.weights.argsort(descending=True).tolist(), strict=False):
        _show(axis, row.views[view])
        wrong = row.wrong is not None and bool(row.wrong[view])
        axis.set_title(f"{float(row.weights[view]):.2f}", y=-0.24, fontsize=8, color=OUTLIER if wrong else "black")
        if wrong:
            _frame(axis, OUTLIER, 1.0)


def _show(axis: Axes, image: Tensor) -> None:
    pixels = image.clamp(0, 1).permute(1, 2, 0).numpy()
    axis.imshow(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels, cmap="gray", vmin=0, vmax=1)


def _frame(axis: Axes, colour: str, width: float) -> None:
    axis.add_patch(
        Rectangle((0, 0), 1, 1, transform=axis.transAxes, fill=False, edgecolor=colour, linewidth=width, clip_on=False)
    )
