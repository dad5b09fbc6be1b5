"""Verdicts on files in the formats that FiftyOne and LightlyStudio import, written without their packages."""

import json
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from uota.console import printable, some_of
from uota.errors import UotaError
from uota.io.atomic import write_text_atomically
from uota.membership.result import Misfiled

logger = logging.getLogger(__name__)

# Files that LightlyStudio reads: the group of each, and the one that it fits better.
GROUPS, FITS_BETTER = "groups.json", "fits_better.json"


def write_fiftyone(found: Misfiled, folder: Path, out: Path) -> None:
    """Write verdicts on files as labels that FiftyOne imports.

    Each file has one classification: its group, with the probability that it belongs there as confidence, and the
    attributes `probability` (that it does not), `fdr`, `fits_better` and `fits_probability`. It is read by::

        fo.Dataset.from_dir(dataset_type=fo.types.FiftyOneImageClassificationDataset, labels_path=OUT, dynamic=True)

    Format: FiftyOne's user guide, "Importing data", FiftyOneImageClassificationDataset: predictions with confidences
    and attributes, whose UUIDs are absolute paths, so that `data_path` can be left out; as its importer of version
    1.22.1 reads it.

    Args:
        found: verdicts on files.
        folder: folder to which the names of files are relative.
        out: JSON file to write.

    Raises:
        UotaError: the file cannot be written.
    """
    labels = {str(path): _classification(found, index) for index, path in _files(found, folder)}
    _write(out, {"labels": labels})


def write_lightly_studio(found: Misfiled, folder: Path, out: Path) -> None:
    """Write verdicts on images as annotations that LightlyStudio imports.

    It imports classifications only through its Python interface, but boxes from files in COCO's format, so that each
    image gets a box around the whole of it: in `groups.json` of its group, with the probability that it belongs there
    as score; in `fits_better.json` of the other group that it fits best, with the probability that it belongs there
    instead. Both are read by::

        dataset.add_samples_from_coco(annotations_json="OUT/groups.json", images_path=FOLDER, annotation_source="group")
        dataset.add_annotations_from_coco(
            annotations_json="OUT/fits_better.json", images_root=FOLDER, annotation_source="fits better"
        )

    Format: LightlyStudio 1.2.0, documentation of `ImageDataset`, and COCO's as `labelformat` 0.1.17 reads it, with its
    optional scores.

    Args:
        found: verdicts on files.
        folder: folder to which the names of files are relative.
        out: folder to write into.

    Raises:
        UotaError: a file cannot be written.
    """
    images = list(_images(found, folder))
    categories = [{"id": number, "name": name} for number, name in enumerate(found.names)]
    members = found.members
    belongs, moves = 1 - members.probability, members.probability * members.fits_probability
    for name, groups, scores in ((GROUPS, members.group, belongs), (FITS_BETTER, members.fits, moves)):
        told = [(image, int(groups[image["id"]]), float(scores[image["id"]])) for image in images]
        boxes = [_box(number, *each) for number, each in enumerate(told)]
        _write(out / name, {"images": images, "categories": categories, "annotations": boxes})


def _classification(found: Misfiled, index: int) -> dict[str, Any]:
    members = found.members
    probability = float(members.probability[index])
    return {
        "label": found.names[int(members.group[index])],
        "confidence": 1 - probability,
        "attributes": {
            "probability": probability,
            "fdr": float(members.fdr[index]),
            "fits_better": found.names[int(members.fits[index])],
            "fits_probability": float(members.fits_probability[index]),
        },
    }


def _box(number: int, image: dict[str, Any], group: int, score: float) -> dict[str, Any]:
    """Make the annotation of a whole image."""
    width, height = image["width"], image["height"]
    return {
        "id": number,
        "image_id": image["id"],
        "category_id": group,
        "bbox": [0, 0, width, height],
        "area": width * height,
        "iscrowd": 0,
        "score": min(max(score, 0.0), 1.0),
    }


def _files(found: Misfiled, folder: Path) -> Iterator[tuple[int, Path]]:
    """Files with their indices, worst first; those whose names are not in UTF-8, which JSON needs, are left out."""
    left_out = []
    for index in found.members.worst_first():
        path = folder.resolve() / found.ids[index]
        if _is_text(str(path)):
            yield index, path
        else:
            left_out.append(str(path))
    _warn_left_out(left_out, "whose names are not in UTF-8")


def _is_text(name: str) -> bool:
    """Whether a name can be written in UTF-8, rather than being made of any bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _images(found: Misfiled, folder: Path) -> Iterator[dict[str, Any]]:
    """Images of COCO, with sizes. Files that are no readable images are left out."""
    left_out = []
    for index, path in _files(found, folder):
        try:
            with Image.open(path) as image:
                width, height = image.size
        except (OSError, ValueError, UnidentifiedImageError, Image.DecompressionBombError):
            left_out.append(str(path))
            continue
        yield {"id": index, "file_name": str(found.ids[index]), "width": width, "height": height}
    _warn_left_out(left_out, "that cannot be read as images")


def _warn_left_out(names: Iterable[str], why: str) -> None:
    if shown := [printable(name) for name in names]:
        logger.warning("%d files %s are left out: %s", len(shown), why, some_of(shown))


def _write(path: Path, content: dict[str, Any]) -> None:
    try:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1)
    except ValueError as error:
        raise UotaError(
            "a verdict is not a finite number, which JSON cannot have; compute the verdicts again"
        ) from error
    write_text_atomically(path, text + "\n")
