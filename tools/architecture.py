"""Draw docs/architecture.png, the data flow and the rooms of the package: python -m tools.architecture"""

from itertools import pairwise
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

OUT = Path(__file__).parents[1] / "docs/architecture.png"
INK, ARBITER = "#1f2933", "#c8102e"
# The flow of one training step: title, what it is, room of the package.
STEP = (
    ("source", "images by index", "data/"),
    ("view pipeline", "candidate views, with the\nparameters that made each", "views/"),
    ("method", "encoder and projector:\nembeddings of all views", "methods/  encoders/"),
    ("loss terms", "unreduced, one for each\npair of views and image", "losses/"),
    ("weighted loss", "mean of weight × term", "losses/weights.py"),
    ("Trainer", "optimiser, checkpoints,\nranks, logs", "training/"),
)
# What reads the run folder.
READERS = (
    ("evaluate", "linear, kNN,\nfine-tuning", "evaluation/"),
    ("transfer", "detectors\non COCO", "transfer/"),
    ("inspect", "what the arbiter\nsaw, as a page", "inspection/"),
    ("embed", "a table of\nembeddings", "evaluation/"),
    ("export", "timm, ONNX,\nsafetensors", "runs/"),
    ("compare", "runs side by side,\nwith intervals", "comparison/"),
)
WIDTH, HEIGHT, GAP = 2.3, 1.25, 0.5


def box(axes: Axes, x: float, y: float, texts: tuple[str, str, str], colour: str = INK, width: float = WIDTH) -> None:
    """Draw a box with a title, a description and the room that it lives in."""
    title, description, room = texts
    style = "round,pad=0.02,rounding_size=0.12"
    axes.add_patch(FancyBboxPatch((x, y), width, HEIGHT, boxstyle=style, fc="white", ec=colour, lw=1.5))
    centre = x + width / 2
    axes.text(centre, y + HEIGHT - 0.24, title, ha="center", va="center", weight="bold", color=colour, size=10)
    axes.text(centre, y + HEIGHT / 2 - 0.06, description, ha="center", va="center", color=INK, size=8)
    axes.text(centre, y + 0.14, room, ha="center", va="center", color="#616e7c", size=7.5, family="monospace")


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str = INK) -> None:
    """Draw an arrow from start to end."""
    axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.4, "shrinkA": 0})


def draw(out: Path) -> None:
    """Draw the picture."""
    figure, axes = plt.subplots(figsize=(15, 5.4))
    places = [place * (WIDTH + GAP) for place in range(len(STEP))]
    for x, texts in zip(places, STEP, strict=True):
        box(axes, x, 2.2, texts)
    for left, right in pairwise(places):
        arrow(axes, (left + WIDTH + 0.04, 2.2 + HEIGHT / 2), (right - 0.04, 2.2 + HEIGHT / 2))
    box(axes, places[2], 4.4, ("arbiter", "score × strength, on\nwhat it sees, detached", "arbitration/"), ARBITER)
    weights = ("ViewWeights", "one weight for each\nview and image", "losses/weights.py")
    box(axes, places[3], 4.4, weights, ARBITER)
    arrow(axes, (places[1] + WIDTH / 2, 2.2 + HEIGHT + 0.04), (places[2] - 0.04, 4.4 + HEIGHT / 2), ARBITER)
    arrow(axes, (places[2] + WIDTH / 2, 2.2 + HEIGHT + 0.04), (places[2] + WIDTH / 2, 4.36), ARBITER)
    arrow(axes, (places[2] + WIDTH + 0.04, 4.4 + HEIGHT / 2), (places[3] - 0.04, 4.4 + HEIGHT / 2), ARBITER)
    arrow(axes, (places[3] + WIDTH + 0.04, 4.4 + HEIGHT / 2), (places[4] + WIDTH / 2, 2.2 + HEIGHT + 0.04), ARBITER)
    axes.text(places[1] + WIDTH / 2 + 0.1, 4.4, "thumbnails", color=ARBITER, size=8, ha="center")
    axes.text(places[2] + WIDTH / 2 + 0.08, 3.9, "features or\nembeddings", color=ARBITER, size=8, va="center")
    folder = places[-1]
    box(axes, folder, 0.0, ("run folder", "settings, checkpoint, logs,\nresults", "runs/  settings/  io/"))
    arrow(axes, (folder + WIDTH / 2, 2.16), (folder + WIDTH / 2, HEIGHT + 0.04))
    span = folder - GAP
    width = (span - GAP * 0.6 * (len(READERS) - 1)) / len(READERS)
    for place, (title, description, room) in enumerate(READERS):
        x = place * (width + GAP * 0.6)
        box(axes, x, 0.0, (f"uota {title}", description, room), width=width)
        arrow(axes, (x + width / 2, HEIGHT + 0.4), (x + width / 2, HEIGHT + 0.02))
    axes.plot([width / 2, folder + 0.4, folder + 0.4], [HEIGHT + 0.4, HEIGHT + 0.4, HEIGHT + 0.02], color=INK, lw=1.4)
    axes.set_xlim(-0.2, folder + WIDTH + 0.2)
    axes.set_ylim(-0.2, 5.9)
    axes.set_axis_off()
    figure.savefig(out, dpi=110, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)


if __name__ == "__main__":
    draw(OUT)
