"""The table of scored views: how each was augmented and each arbiter's verdict. All analyses start from it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from rich.progress import track
from torch import Tensor

from uota.arbitration import Arbiter, Arbitration, ScoreInBatches, TwoGroups
from uota.console import PROGRESS, printable
from uota.data import Source
from uota.errors import UotaError
from uota.inspection.arbiters import ArbiterSet
from uota.inspection.input import MIN_ITEMS, InspectionInput
from uota.training.setup import TAU_PER_DIMENSION
from uota.views import ViewParameters, ViewPreset, Views
from uota.views.pipeline import Sample

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
        verdicts: verdict of each arbiter, by its name: learned, two_groups, mahalanobis.
        primary: name of the arbiter whose verdict is reported first.
        wrong: ground truth, whether a view is an outlier; None: unknown.
        shows_nothing: views of a single flat colour, which tell nothing about any image; see `FLAT`.
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

    @property
    def verdict(self) -> Arbitration:
        """Verdict of the primary arbiter."""
        return self.verdicts[self.primary]

    @property
    def tau(self) -> float:
        """Temperature of the weights by the paper's rule."""
        tau = self.verdicts["mahalanobis"].tau
        assert tau is not None
        return tau

    @property
    def outlier_probability(self) -> Float[Tensor, "views images"]:
        """Outlier probability by the primary arbiter, or by two_groups if the primary one gives none."""
        probability = self.verdicts[self.judge].outlier_probability
        assert probability is not None
        return probability

    @property
    def judge(self) -> str:
        """Name of the arbiter that gives the outlier probability: the primary one, or two_groups if it gives none."""
        return self.primary if self.verdict.outlier_probability is not None else "two_groups"

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
        names = {index: self.name_of(index, file) for index in indices.unique().tolist()}
        return np.array([[names[index] for index in row] for row in indices.tolist()], dtype=object)


def score_views(subject: InspectionInput, arbiters: ArbiterSet, images: int, bar: bool = True) -> ViewTable:
    """Make views of a random sample of images and score them with every arbiter.

    Args:
        subject: images, and the pipeline of their views, whose seed also chooses the images.
        arbiters: arbiters that score the views.
        images: maximum number of images to score.
        bar: show a progress bar.

    Raises:
        UotaError: too few of the images can be read.
    """
    batches = list(subject.batches(images, subject.pipeline.seed))
    seen, features, flat = [], [], []
    for samples in track(batches, "scoring views", transient=True, disable=not bar, console=PROGRESS):
        views = _readable(subject, samples)
        if views is None:
            continue
        extracted = arbiters.extract(views)
        features.append(extracted.features)
        seen.append((views, arbiters.embeddings(extracted)))
        flat.append(_shows_nothing(views, subject.preset))
        views.by_size = []  # free the pixels, which are no longer needed
    if sum(views.batch for views, _ in seen) < MIN_ITEMS:
        raise UotaError(
            f"fewer than {MIN_ITEMS} images of {subject.source.name} can be read; check whether the others are damaged"
        )
    embeddings = torch.cat([z for _, z in seen], 1)
    verdicts = {"learned": _learned(arbiters.learned, features)} if arbiters.learned else {}
    verdicts["two_groups"] = arbiters.two_groups(embeddings)
    verdicts["mahalanobis"] = (arbiters.mahalanobis or _paper_arbiter(embeddings))(embeddings.double(), progress=1.0)
    parameters = _concatenated_parameters([views for views, _ in seen])
    index = torch.cat([views.index for views, _ in seen])
    wrong = None if seen[0][0].wrong is None else torch.cat([_required(views.wrong) for views, _ in seen], 1)
    shows_nothing = torch.cat(flat, 1)
    return ViewTable(
        subject.source, subject.preset, index, parameters, embeddings, verdicts, arbiters.primary, wrong, shows_nothing
    )


def _readable(subject: InspectionInput, samples: list[Sample]) -> Views | None:
    """Return views of the samples whose images can all be read, since damaged files are replaced by other images."""
    views = subject.pipeline(subject.source, samples)
    lost = subject.source.unreadable(views.parameters.image).any(0).tolist()
    if all(lost):
        return None
    if not any(lost):
        return views
    return _readable(subject, [sample for sample, gone in zip(samples, lost, strict=True) if not gone])


def _none_where_unknown(values: ndarray, known: ndarray) -> ndarray:
    """Replace unknown values by None; if all are known, the data type stays as it is."""
    if known.all():
        return values
    values = values.astype(object)
    values[~known] = None
    return values


def _paper_arbiter(embeddings: Tensor) -> Arbiter:
    """Build the paper's arbiter with the released temperature, and with shrinkage if there are few samples."""
    views, images, dim = embeddings.shape
    covariance = "empirical" if images * (views - 1) > 2 * dim else "oas"
    return Arbiter("mahalanobis", tau=TAU_PER_DIMENSION * dim, covariance=covariance).eval()


def _learned(arbiter: Arbiter, features: list[Float[Tensor, "views batch dim"]]) -> Arbitration:
    """Judge by densities of the current scores: the remembered ones come from a less trained head."""
    return Arbiter((ScoreInBatches(arbiter.score, len(features)), TwoGroups())).eval()(torch.cat(features, 1))


def _shows_nothing(views: Views, preset: ViewPreset) -> Bool[Tensor, "views batch"]:
    std = torch.tensor(preset.std)
    return torch.cat([(each.std((-2, -1)).cpu() * std).amax(-1) < FLAT for each in views.by_size])


def _required(value: Tensor | None) -> Tensor:
    assert value is not None
    return value


def _concatenated_parameters(parts: list[Views]) -> ViewParameters:
    fields = vars(parts[0].parameters)
    return ViewParameters(**{name: torch.cat([getattr(part.parameters, name) for part in parts], 1) for name in fields})


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
    return _required(values).detach().cpu().double().numpy()
