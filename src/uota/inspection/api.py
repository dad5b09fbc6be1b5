"""`inspect`: which views of my images are outliers, before or after anything is pretrained."""

import logging
from collections.abc import Sequence
from io import BytesIO
from math import inf
from pathlib import Path
from typing import Any

from PIL import Image

from uota.data import warn_left_out, warn_skipped
from uota.errors import UotaError
from uota.inspection.analysis.filing import file_groups
from uota.inspection.arbiters import build_arbiters
from uota.inspection.export import frame_of, write_table
from uota.inspection.input import open_input
from uota.inspection.page.gallery import GalleryRow, draw_gallery
from uota.inspection.page.html import page
from uota.inspection.result import Findings
from uota.inspection.table import score_views
from uota.io.atomic import write_text_atomically
from uota.misfiled.files import ENOUGH
from uota.runs.run import Run
from uota.settings.pretrain import Reading
from uota.settings.ranges import RANGES, check_number
from uota.views import ViewPreset

logger = logging.getLogger(__name__)

SHOWN, JUDGED = 60, 512
PAGE, TABLES = ".html", (".parquet", ".csv")


class Inspection(Findings):
    """What was found; in a notebook it shows itself as its page."""

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row for each judged view.

        Raises:
            UotaError: pandas is not installed.
        """
        return frame_of(self.table)

    def gallery(self, images: int = 8) -> Image.Image:
        """The first images and their views in descending order of weight, as one picture."""
        picture = BytesIO()
        draw_gallery(self._rows(images), self._title(), picture)
        return Image.open(picture)

    def html(self) -> str:
        """The page, as text."""
        return page(self)

    def save(self, out: str | Path, images: int = 8) -> Path:
        """Write the page (.html), the table (.parquet or .csv), or the gallery (whatever matplotlib writes).

        Raises:
            UotaError: the file has no ending, or cannot be written.
        """
        out = Path(out)
        require_suffix(out)
        if out.suffix == PAGE:
            write_text_atomically(out, self.html())
        elif out.suffix in TABLES:
            write_table(self.table, out)
        else:
            draw_gallery(self._rows(images), self._title(), out)
        return out

    def __repr__(self) -> str:
        """Short: the table is large."""
        rate = "" if self.outlier_rate is None else f", outlier rate {self.outlier_rate:.3f}"
        views, images = self.table.shape
        return f"Inspection of {self.subject.source.name}: {views} views of {images} images{rate}"

    def _repr_html_(self) -> str:
        """The page in a frame of its own, so that it and the notebook leave each other alone."""
        page = self.html().replace("&", "&amp;").replace('"', "&quot;")
        return f'<iframe title="uota inspect" srcdoc="{page}" style="width:100%;height:800px;border:0"></iframe>'

    def _rows(self, images: int) -> list[GalleryRow]:
        """The first images with their views as a person sees them; of a group, its best view's image."""
        table = self.table
        weights, shown = table.verdict.weights.float(), table.pictures[0].shape[1]
        rows = []
        for place, image in enumerate(self.subject.source.images(self.faces(min(images, shown)))):
            views = [view[place].float() / 255 for group in table.pictures for view in group]
            wrong = None if table.wrong is None else table.wrong[:, place]
            rows.append(GalleryRow(image, views, weights[:, place].cpu(), wrong))
        return rows

    def _title(self) -> str:
        run = self.subject.run
        who = f"run {run.folder.name}" if run else "an arbiter that learned on these images just now"
        title = f"{self.subject.source.name}, weighed by {who}: image (red frame), views by weight (1 is the mean)"
        if self.outlier_rate is None:
            return title
        return f"{title}; estimated share of outlier views {100 * self.outlier_rate:.0f} %"


def require_suffix(out: Path) -> None:
    """Refuse a name that does not say what is to be written.

    Raises:
        UotaError: it has no ending.
    """
    if not out.suffix:
        raise UotaError(f"{out} has no ending that says what to write; give .html, .png, .parquet or .csv")


def inspect(
    images: Any = None,
    model: Any = None,
    views: str | ViewPreset = "auto",
    *,
    weights: str | Path | None = None,
    view_options: dict[str, Any] | None = None,
    inject: float = 0.0,
    seconds: float = 20.0,
    shown: int = SHOWN,
    judged: int = JUDGED,
    files: bool | None = False,
    compare: bool = True,
    beside: Sequence[Run] = (),
    seed: int = 0,
    pixel_range: Sequence[float] | None = None,
    image_megabytes: int | None = None,
) -> Inspection:
    """Say which views of images are outliers, by a run's arbiter, or by one that learns for some seconds.

    Args:
        images: a name or a folder; a list of paths; a tensor (n, channels, height, width); a list or dataset of
            pictures; a `uota.data.Source`. None: the run's, or demo-scenes.
        model: a `Run`, whose arbiter judges; without one an arbiter learns now, looking through this timm model (random
            weights) or module (images in, rows of features out); None: at thumbnails.
        views: a preset or its name; auto: the run's, or by the images; groups: each lowest folder is one thing.
        weights: a file with weights of the model.
        view_options: changes to the preset, such as {"local": {"scale": (0.1, 0.3)}}.
        inject: share of views taken from other images, to see whether the arbiter finds them.
        seconds: how long an arbiter learns; of groups, each of the two that judge the other half's files.
        shown: images whose views are kept for the gallery.
        judged: images whose views are judged.
        files: of groups, judge every file; None: where there are groups, and enough of them.
        compare: let an arbiter learn beside a run's, where the run's does not.
        beside: more runs whose history is shown.
        seed: of the views and of the choice of images.
        pixel_range: values of black and white, of images of more than 8 bits; None: the run's, or estimated.
        image_megabytes: larger images, decoded, are not read; None: the run's limit, or 256.

    Raises:
        UotaError: there is no such run, source or model, or files are to be listed that lie in no groups.

    >>> import torch
    >>> from uota import inspect
    >>> found = inspect(torch.randint(0, 256, (40, 3, 32, 32), dtype=torch.uint8), seconds=0.0)
    >>> found.table.shape, round(float(found.table.columns()["weight_learned"].mean()), 3)
    ((6, 40), 1.0)
    """
    check_number("seed", seed, RANGES["seed"])
    if not 0 <= seconds < inf:
        raise UotaError(f"seconds is {seconds}; an arbiter learns for 0 seconds (one step) or more")
    run = model if isinstance(model, Run) else None
    reading = Reading(None if pixel_range is None else list(pixel_range), image_megabytes)
    subject = open_input(images, run, views, view_options or {}, inject, seed, reading)
    if files and subject.groups is None:
        raise UotaError("files are listed by the group that they lie in; add --views groups, or leave --files out")
    warn_left_out(subject.source)
    file = None if weights is None else Path(weights)
    panel = build_arbiters(subject, None if run else model, file, seconds, compare)
    table = score_views(subject, panel, max(judged, shown), shown)
    if files is None:
        files = subject.groups is not None and len(subject.groups) >= ENOUGH
        if subject.groups is not None and not files:
            logger.info(f"there are {len(subject.groups)} groups; to say which files are misfiled {ENOUGH} are needed")
    filing = file_groups(subject, panel, seconds) if files else None
    warn_skipped(subject.source)
    return Inspection(subject, panel, table, filing, ([run] if run else []) + list(beside))
