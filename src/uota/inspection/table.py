"""The table that everything else reads: of every view that was judged, how it was made and what each arbiter says."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from numpy import ndarray
from rich.progress import track
from torch import Tensor

from uota.arbitration import Arbiter, Arbitration, ScoreInBatches, TwoGroups
from uota.console import PROGRESS, printable
from uota.data import Source
from uota.errors import UotaError
from uota.inspection.arbiters import ArbiterSet
from uota.inspection.input import LEAST, InspectionInput
from uota.training.setup import TAU_PER_DIMENSION
from uota.views import ViewParameters, ViewPreset, Views, unnormalise
from uota.views.pipeline import Sample

Columns = dict[str, ndarray]


@dataclass(frozen=True)
class ViewTable:
    """What is known of every judged view.

    Attributes:
        source, preset: of the images and their views.
        item: of each image (of each group, where there are groups) its index in the source.
        parameters: what was done to each view, every field (views, images).
        embeddings: where distances are measured.
        verdicts: of each arbiter: learned, two_groups, mahalanobis.
        own: whose verdict counts first.
        wrong: the truth; None: unknown.
        pictures: the views of the first images as a person sees them; a tensor for each size.
    """

    source: Source
    preset: ViewPreset
    item: Int64[Tensor, " images"]
    parameters: ViewParameters
    embeddings: Float[Tensor, "views images dim"]
    verdicts: dict[str, Arbitration]
    own: str
    wrong: Bool[Tensor, "views images"] | None
    pictures: list[UInt8[Tensor, "_ shown channels _ _"]]

    @property
    def verdict(self) -> Arbitration:
        """What counts first."""
        return self.verdicts[self.own]

    @property
    def tau(self) -> float:
        """Temperature of the paper's weights."""
        tau = self.verdicts["mahalanobis"].tau
        assert tau is not None
        return tau

    @property
    def outlier_probability(self) -> Float[Tensor, "views images"]:
        """By the own arbiter; where it says none, by two_groups."""
        said = (self.verdict.outlier_probability, self.verdicts["two_groups"].outlier_probability)
        return next(probability for probability in said if probability is not None)

    @property
    def at_home(self) -> Bool[Tensor, "views images"]:
        """Which views show their own image, or one of their own group, and none that was put in."""
        return self.source.belongs(self.parameters.image, self.item)

    def columns(self) -> Columns:
        """A row for each view, image by image; weights of all rows of an arbiter have mean 1."""
        made = {
            "image": self._names(self.item.expand(self.shape)),
            "shows": self._names(self.parameters.image, file=True),
        }
        if self.source.labels is not None:
            label = self.source.labels[self.item].numpy()
            made["label"] = np.broadcast_to(_or_none(label, label >= 0), self.shape)
            if self.source.classes:
                known = (label >= 0) & (label < len(self.source.classes))
                classes = np.array([printable(name) for name in self.source.classes], dtype=object)
                made["class"] = np.broadcast_to(_or_none(classes[label * known], known), self.shape)
        made["view"] = np.broadcast_to(np.arange(self.shape[0])[:, None], self.shape)
        made["kind"] = np.broadcast_to(np.array(self.preset.size_name_of_view, dtype=object)[:, None], self.shape)
        made |= _how_made(self.parameters)
        if self.wrong is not None:
            made["wrong"] = self.wrong.numpy()
        made["distance"] = _numbers(self.verdicts["mahalanobis"].distances)
        for name, verdict in self.verdicts.items():
            made |= {f"score_{name}": _numbers(verdict.scores), f"weight_{name}": _numbers(verdict.weights)}
            if verdict.outlier_probability is not None:
                made[f"outlier_probability_{name}"] = _numbers(verdict.outlier_probability)
        return {name: np.asarray(values).T.flatten() for name, values in made.items()}

    @property
    def shape(self) -> tuple[int, int]:
        """(views, images)."""
        return self.parameters.image.shape[0], self.parameters.image.shape[1]

    def name_of(self, index: int, file: bool = False) -> str:
        """Name of an item, or of one of the source's files."""
        return printable((self.source.files if file else self.source).display_name(index))

    def _names(self, indices: Tensor, file: bool = False) -> ndarray:
        names = {index: self.name_of(index, file) for index in indices.unique().tolist()}
        return np.array([[names[index] for index in row] for row in indices.tolist()], dtype=object)


def score_views(subject: InspectionInput, panel: ArbiterSet, images: int, shown: int, bar: bool = True) -> ViewTable:
    """Make the views of some images and let every arbiter of the panel judge them.

    Args:
        subject: of whose images some are drawn by the seed of its views.
        panel: who judges.
        images: how many to judge; fewer, where there are not so many.
        shown: of how many of these to keep pictures.
        bar: show a progress bar.

    Raises:
        UotaError: too few of them can be read.
    """
    batches = list(subject.batches(images, subject.pipeline.seed))
    seen, features, pictures, left = [], [], [], shown
    for samples in track(batches, "looking at views", transient=True, disable=not bar, console=PROGRESS):
        views = _readable(subject, samples)
        if views is None:
            continue
        looked = panel.eyes(views)
        features.append(looked.features)
        seen.append((views, panel.embeddings(looked)))
        pictures.append([_pixels(group[:, :left], subject.preset) for group in views.by_size])
        left -= min(left, views.batch)
        views.by_size = []  # their pixels are not needed any more, and would fill the memory
    if sum(views.batch for views, _ in seen) < LEAST:
        raise UotaError(f"fewer than {LEAST} images of {subject.source.name} can be read; are the others damaged?")
    embeddings = torch.cat([z for _, z in seen], 1)
    verdicts = {"learned": _learned(panel.learned, features)} if panel.learned else {}
    verdicts["two_groups"] = panel.two_groups(embeddings)
    verdicts["mahalanobis"] = (panel.mahalanobis or _paper(embeddings))(embeddings.double(), progress=1.0)
    together = _together([views for views, _ in seen])
    index = torch.cat([views.index for views, _ in seen])
    wrong = None if seen[0][0].wrong is None else torch.cat([_known(views.wrong) for views, _ in seen], 1)
    shown_views = [torch.cat(parts, 1) for parts in zip(*pictures, strict=True)]
    return ViewTable(
        subject.source, subject.preset, index, together, embeddings, verdicts, panel.own, wrong, shown_views
    )


def _readable(subject: InspectionInput, samples: list[Sample]) -> Views | None:
    """Views of those samples whose images can all be read: nothing is said of what stands in for a damaged file."""
    views = subject.pipeline(subject.source, samples)
    lost = subject.source.unreadable(views.parameters.image).any(0).tolist()
    if all(lost):
        return None
    if not any(lost):
        return views
    return _readable(subject, [sample for sample, gone in zip(samples, lost, strict=True) if not gone])


def _or_none(values: ndarray, known: ndarray) -> ndarray:
    """The values, None where they are not known: numbers stay numbers where all are."""
    if known.all():
        return values
    values = values.astype(object)
    values[~known] = None
    return values


def _paper(embeddings: Tensor) -> Arbiter:
    """The paper's, with the released temperature; shrunk where the covariance would be singular."""
    views, images, dim = embeddings.shape
    covariance = "empirical" if images * (views - 1) > 2 * dim else "oas"
    return Arbiter("mahalanobis", tau=TAU_PER_DIMENSION * dim, covariance=covariance).eval()


def _learned(arbiter: Arbiter, features: list[Float[Tensor, "views batch dim"]]) -> Arbitration:
    """By densities of these very scores: those that an arbiter remembers are of a head that had learned less."""
    return Arbiter((ScoreInBatches(arbiter.score, len(features)), TwoGroups())).eval()(torch.cat(features, 1))


def _pixels(views: Tensor, preset: ViewPreset) -> UInt8[Tensor, "_ shown channels _ _"]:
    return (unnormalise(views, preset.mean, preset.std).clamp(0, 1) * 255).round().to(torch.uint8)


def _known(value: Tensor | None) -> Tensor:
    assert value is not None
    return value


def _together(parts: list[Views]) -> ViewParameters:
    fields = vars(parts[0].parameters)
    return ViewParameters(**{name: torch.cat([getattr(part.parameters, name) for part in parts], 1) for name in fields})


def _how_made(parameters: ViewParameters) -> dict[str, Any]:
    """Columns of the crop, in pixels and in shares of the image, and of everything else that was done."""
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


def _numbers(values: Tensor | None) -> ndarray:
    return _known(values).detach().cpu().double().numpy()
