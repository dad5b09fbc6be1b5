"""The table of scored views: how each was augmented and each arbiter's verdict. All analyses start from it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from torch import Tensor

from uota.arbitration import Arbitration
from uota.console import printable
from uota.data import Source
from uota.inspection.analysis.share import Share
from uota.views import ViewParameters, ViewPreset

Columns = dict[str, ndarray]

# A view shows nothing if the standard deviation of its pixels, between 0 for black and 1 for white, is below this in
# every channel. Of the views of stamps and clip art all below 2/255 look empty, and some above it show pale drawings.
FLAT = 2 / 255
# A view is flagged if its outlier probability is above this.
FLAGGED = 0.5


@dataclass(frozen=True)
class ViewTable:
    """All scored views.

    Attributes:
        source: images, or groups.
        preset: preset of the views.
        item: index in the source of each image (or group).
        parameters: augmentation parameters of each view, every field of shape (views, images).
        embeddings: embeddings in which distances are measured.
        verdicts: verdict of each arbiter, by its name: chosen, learned, cohort, two_groups, mahalanobis.
        primary: name of the arbiter whose verdict is reported first.
        wrong: ground truth, whether a view is an outlier; None: unknown.
        shows_nothing: views of a single flat colour, which tell nothing about any image; see `FLAT`.
        share: estimated share of outliers by the primary arbiter, with its interval; None: that arbiter estimates none.
            If the interval holds 0, all outlier probabilities of that arbiter are 0.
    """

    source: Source
    preset: ViewPreset
    item: Int64[Tensor, " images"]
    parameters: ViewParameters
    embeddings: Float[Tensor, "views images dim"]
    verdicts: dict[str, Arbitration]
    primary: str
    wrong: Bool[Tensor, "views images"] | None
    shows_nothing: Bool[Tensor, "views images"]
    share: Share | None = None

    @property
    def verdict(self) -> Arbitration:
        """Verdict of the primary arbiter."""
        return self.verdicts[self.primary]

    @property
    def tau(self) -> float:
        """Temperature of the weights by the paper's rule."""
        tau = self.verdicts["mahalanobis"].tau
        assert tau is not None
        return float(tau)

    @property
    def outlier_probability(self) -> Float[Tensor, "views images"]:
        """Outlier probability by the arbiter `judge`."""
        probability = self.verdicts[self.judge].outlier_probability
        assert probability is not None
        return probability

    @property
    def judge(self) -> str:
        """Name of the arbiter that gives the outlier probability: the primary one, or the first that gives any."""
        names = (self.primary, *self.verdicts)
        return next(name for name in names if self.verdicts[name].outlier_probability is not None)

    @property
    def flagged(self) -> Bool[Tensor, "views images"]:
        """Views that are more probably outliers than not; those that show nothing are not judged."""
        return (self.outlier_probability.cpu() > FLAGGED) & ~self.shows_nothing

    @property
    def shows_own_item(self) -> Bool[Tensor, "views images"]:
        """Whether each view shows its own image, or one of its own group, rather than an injected one."""
        return self.source.belongs(self.parameters.image, self.item)

    def columns(self) -> Columns:
        """Return the table as columns with one row per view, image by image; each arbiter's weights have mean 1."""
        made = {
            "image": self._names(self.item.expand(self.shape)),
            "shows": self._names(self.parameters.image, file=True),
        }
        if self.source.labels is not None:
            label = self.source.labels[self.item].numpy()
            made["label"] = np.broadcast_to(_none_where_unknown(label, label >= 0), self.shape)
            if self.source.classes:
                known = (label >= 0) & (label < len(self.source.classes))
                classes = np.array([printable(name) for name in self.source.classes], dtype=object)
                made["class"] = np.broadcast_to(_none_where_unknown(classes[label * known], known), self.shape)
        made["view"] = np.broadcast_to(np.arange(self.shape[0])[:, None], self.shape)
        made["kind"] = np.broadcast_to(np.array(self.preset.size_name_of_view, dtype=object)[:, None], self.shape)
        made |= _augmentation_columns(self.parameters)
        if self.wrong is not None:
            made["wrong"] = self.wrong.numpy()
        made["shows_nothing"] = self.shows_nothing.numpy()
        made["distance"] = _to_numpy(self.verdicts["mahalanobis"].distances)
        for name, verdict in self.verdicts.items():
            made |= {f"score_{name}": _to_numpy(verdict.scores), f"weight_{name}": _to_numpy(verdict.weights)}
            if verdict.outlier_probability is not None:
                probability = _to_numpy(verdict.outlier_probability)
                made[f"outlier_probability_{name}"] = _none_where_unknown(probability, made["shows_nothing"] == 0)
        return {name: np.asarray(values).T.flatten() for name, values in made.items()}

    @property
    def shape(self) -> tuple[int, int]:
        """Number of views of an image, and number of images."""
        return self.parameters.image.shape[0], self.parameters.image.shape[1]

    def name_of(self, index: int, file: bool = False) -> str:
        """Return the name of an item, or of one of the source's files."""
        return printable((self.source.files if file else self.source).display_name(index))

    def _names(self, indices: Tensor, file: bool = False) -> ndarray:
        """Return the paths of images, and the names of those that are not files and of groups."""
        grouped = self.source.unit == "group" and not file
        files = self.source.files
        names = {
            index: self.name_of(index) if grouped else printable(files.path(index) or files.display_name(index))
            for index in indices.unique().tolist()
        }
        return np.array([[names[index] for index in row] for row in indices.tolist()], dtype=object)


def _none_where_unknown(values: ndarray, known: ndarray) -> ndarray:
    """Replace unknown values by None; if all are known, the data type stays as it is."""
    if known.all():
        return values
    values = values.astype(object)
    values[~known] = None
    return values


def _augmentation_columns(parameters: ViewParameters) -> dict[str, Any]:
    """Return columns of the crop, in pixels and as shares of the image, and of all other augmentations."""
    top, left, high, wide = parameters.box.double().unbind(-1)
    height, width = parameters.image_size.double().unbind(-1)
    made = {
        "image_height": parameters.image_size[..., 0],
        "image_width": parameters.image_size[..., 1],
        "crop_top": top.long(),
        "crop_left": left.long(),
        "crop_height": high.long(),
        "crop_width": wide.long(),
        "area": high * wide / (height * width),
        "x": (left + wide / 2) / width,
        "y": (top + high / 2) / height,
        "aspect": wide / high,
        "flip": parameters.flip,
    }
    for name in ("brightness", "contrast", "saturation", "hue", "grey", "blur_sigma", "solarise", "rand_augment"):
        made[name] = getattr(parameters, name)
    order = ["".join(map(str, row)) for row in parameters.jitter_order.flatten(0, 1).tolist()]
    shape = parameters.flip.shape
    return {name: value.numpy() for name, value in made.items()} | {
        "jitter_order": np.array(order, dtype=object).reshape(shape)
    }


def _to_numpy(values: Tensor | None) -> ndarray:
    assert values is not None
    return values.detach().cpu().double().numpy()
