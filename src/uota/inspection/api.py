"""`inspect`: find the outlier views of any images, before or after pretraining."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from uota.data import warn_left_out, warn_skipped
from uota.distributed import rank
from uota.encoders.pretrained import PRETRAINED
from uota.errors import UotaError
from uota.inspection.arbiters import build_arbiters
from uota.inspection.export import write_table
from uota.inspection.input import open_input
from uota.inspection.page.gallery import GalleryRow, draw_gallery
from uota.inspection.page.html import page
from uota.inspection.result import Findings
from uota.inspection.scoring import score_views
from uota.io.atomic import write_text_atomically
from uota.io.tables import to_frame
from uota.runs.eyes import THUMBNAILS
from uota.runs.run import Run
from uota.settings.pretrain import Reading
from uota.settings.ranges import OF_COMMANDS, RANGES, check_number
from uota.views import ViewPreset

PAGE, TABLES = ".html", (".parquet", ".csv")
WITHOUT_BACKBONE = ("auto", PRETRAINED, THUMBNAILS)


class Inspection(Findings):
    """The result of an inspection; a notebook displays it as its HTML page."""

    def to_frame(self) -> Any:
        """Return a pandas DataFrame with one row per scored view.

        Raises:
            UotaError: pandas is not installed.
        """
        return to_frame(self.table.columns())

    def gallery(self, images: int = 8) -> Image.Image:
        """Draw the first images and their views, sorted by descending weight, as one picture."""
        picture = BytesIO()
        draw_gallery(self._rows(images), self._title(), picture)
        return Image.open(picture)

    def html(self) -> str:
        """Return the page as text."""
        return page(self)

    def save(self, out: str | Path, images: int = 8) -> Path:
        """Write the page (.html), the table (.parquet or .csv) or the gallery (any format that matplotlib writes).

        Raises:
            UotaError: the file name has no suffix, or the file cannot be written.
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
        """Summarise the inspection in one line."""
        rate = "" if self.outlier_rate is None else f", outlier rate {self.outlier_rate:.3f}"
        views, images = self.table.shape
        return f"Inspection of {self.subject.source.name}: {views} views of {images} images{rate}"

    def _repr_html_(self) -> str:
        """Return the page in an iframe, so that its styles and scripts do not affect the notebook, nor vice versa."""
        page = self.html().replace("&", "&amp;").replace('"', "&quot;")
        return f'<iframe title="uota inspect" srcdoc="{page}" style="width:100%;height:800px;border:0"></iframe>'

    def _rows(self, images: int) -> list[GalleryRow]:
        """Return the first images with their unnormalised views; a group is shown by the image of its best view."""
        table = self.table
        places = range(min(images, table.shape[1]))
        weights, rows = table.verdict.weights.float().cpu(), []
        originals = self.subject.source.images(self.representatives(places))
        for place, image, pictures in zip(places, originals, self.view_pictures(places), strict=True):
            views = [view.float() / 255 for view in pictures]
            wrong = None if table.wrong is None else table.wrong[:, place]
            rows.append(GalleryRow(image, views, weights[:, place], wrong))
        return rows

    def _title(self) -> str:
        run = self.subject.run
        arbiter = f"run {run.folder.name}" if run else "an arbiter chosen by injection"
        title = f"{self.subject.source.name}, weighed by {arbiter}: image (red frame), views by weight (mean 1)"
        if self.outlier_rate is None:
            return title
        return f"{title}; estimated share of outlier views {self.share_in_words}"


def require_suffix(out: Path) -> None:
    """Require a file name whose suffix names a format.

    Raises:
        UotaError: it has no suffix.
    """
    if not out.suffix:
        raise UotaError(f"{out} has no suffix that names a format; give .html, .png, .parquet or .csv")


def _check_eyes(model: Any, eyes: str | Path, backbone: str | None) -> None:
    if model is not None and eyes != "auto":
        raise UotaError(f"both a model and eyes {eyes} are given, and eyes are all that a model is used as; omit one")
    if backbone is not None and (model is not None or str(eyes) in WITHOUT_BACKBONE):
        raise UotaError(f"backbone {backbone} is the network of a file of weights; give that file as eyes")


def inspect(
    images: Any = None,
    model: Any = None,
    views: str | ViewPreset = "auto",
    *,
    eyes: str | Path = "auto",
    backbone: str | None = None,
    steps: int | None = None,
    view_options: dict[str, Any] | None = None,
    inject: float = 0.0,
    most: int | None = None,
    compare: bool = True,
    other_runs: Sequence[Run] = (),
    seed: int = 0,
    pixel_range: Sequence[float] | None = None,
    image_megabytes: int | None = None,
) -> Inspection:
    """Score augmented views of images with a run's arbiter, or with the one that best finds views exchanged on purpose.

    The same arguments give the same result, bit for bit, on the same machine.

    Args:
        images: a data set's name or a folder; a list of paths; a tensor (n, channels, height, width); a list or dataset
            of pictures; a `uota.data.Source`. None: the run's images, or demo-scenes.
        model: a `Run` whose arbiter scores the views, or a module (images to rows of features) to use as eyes.
        views: a preset or its name; auto: the run's, or chosen by the images; groups: the files of each innermost
            folder are images of one thing.
        eyes: what an arbiter sees with that is no run's. pretrained: the embedded ImageNet weights; thumbnails; the
            name of a timm model, a file of weights, or the folder of a run. auto: pretrained or thumbnails, whichever
            finds exchanged views better.
        backbone: network of a file of weights, if it cannot be inferred.
        steps: training steps of the arbiter's head; 0: none is trained. None: the best of several numbers.
        view_options: changes to the preset, such as {"local": {"scale": (0.1, 0.3)}}.
        inject: share of views taken from other images, to see whether the arbiter finds them.
        most: number of images, drawn at random if there are more; None: all.
        compare: with a run, also choose an arbiter by injection, for comparison.
        other_runs: further runs whose curves are shown.
        seed: seed of the views and of the choice of the arbiter.
        pixel_range: pixel values of black and white for images of more than 8 bits; None: the run's, or estimated.
        image_megabytes: images that are larger than this once decoded are skipped; None: the run's limit, or 256.

    Raises:
        UotaError: there is no such run, source or model.

    >>> import torch
    >>> from uota import inspect
    >>> found = inspect(torch.randint(0, 256, (40, 3, 32, 32), dtype=torch.uint8), steps=0)
    >>> found.table.shape, round(float(found.table.columns()["weight_chosen"].mean()), 3)
    ((6, 40), 1.0)
    """
    check_number("seed", seed, RANGES["seed"])
    if steps is not None:
        check_number("steps", steps, OF_COMMANDS["inspect"]["steps"])
    if most is not None and most < 1:
        raise UotaError(f"the number of images is {most}; give at least 1")
    run = model if isinstance(model, Run) else None
    _check_eyes(model if run is None else None, eyes, backbone)
    reading = Reading(None if pixel_range is None else list(pixel_range), image_megabytes)
    subject = open_input(images, run, views, view_options or {}, inject, seed, reading, most)
    if rank() == 0:
        warn_left_out(subject.source)
    arbiters = build_arbiters(subject, eyes if run or model is None else model, backbone, steps, compare)
    table = score_views(subject, arbiters)
    if rank() == 0:
        warn_skipped(subject.source)
    return Inspection(subject, arbiters, table, ([run] if run else []) + list(other_runs))
