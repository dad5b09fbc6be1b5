"""Data sets that Hugging Face's `datasets` saved to disk: Arrow tables, mapped into memory and read by row."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
from jaxtyping import Int64

from uota.data.files.decoded import Files, FolderOptions
from uota.data.files.left_out import LeftOut
from uota.data.files.splits import UNLABELLED, in_share, split_of, test_names_first
from uota.data.packed.rows import ConcatenatedRows, Rows
from uota.data.packed.source import PackedSource
from uota.data.source import Split
from uota.errors import UotaError
from uota.io.outputs import path_of

LABEL_NAMES = {"label", "labels", "class", "classes", "cls", "target", "targets", "category", "y"}
# Files that `save_to_disk` writes into the folder of a data set, and of a data set with splits.
TABLE, SPLITS = "state.json", "dataset_dict.json"


def is_saved(name: str) -> bool:
    """Whether this names a folder that `save_to_disk` of `datasets` wrote."""
    folder = _folder_and_columns(name)[0]
    return (folder / TABLE).is_file() or (folder / SPLITS).is_file()


def open_saved(name: str, split: Split, options: FolderOptions | None = None) -> PackedSource:
    """The images of a split of a saved data set.

    The splits are those of the data set, if it has both train and test (or validation); if the training images have
    labels, test is the first test split with labels. In any other data set a fifth of each class, chosen by a hash of
    the row number, is the test split; without labels both splits contain all images. Rows without a label, or with a
    label that has no class name, get the label -1 and belong to training. All ignores splits: it has all rows.

    Args:
        name: the folder, followed by `#image=NAME&label=NAME` if it has several columns of images or labels.
        split: train, test or all.
        options: how images are read; none are kept in memory.

    Raises:
        UotaError: `datasets` is not installed, or the columns are missing or ambiguous.
    """
    folder, columns = _folder_and_columns(name)
    loaded, _ = load_saved(name)
    left_out = LeftOut()
    tables, is_split = _of_split(loaded, split, name, columns.get("label"), left_out)
    parts = [_rows(folder / part, table, columns.get("image"), name) for part, table in tables.items()]
    labels, classes = _labels_of_all([*tables.values()], columns.get("label"), name)
    if labels is None:
        left_out.remarks += dict.fromkeys(remark for table in tables.values() for remark in _columns_like_labels(table))
    files: Files = parts[0] if len(parts) == 1 else ConcatenatedRows(parts)
    if labels is not None and (without := int((labels == UNLABELLED).sum())):
        first = files.path(int((labels == UNLABELLED).argmax())).relative_to(folder)
        left_out.add("row(s) have no class label, and are not used in evaluations", str(first), without)
    if labels is not None and not is_split:
        (part,) = parts
        chosen = in_share((str(row).encode() for row in part.rows), labels, split)
        files, labels = part.subset(chosen), labels[chosen]
    if len(files) < 2:
        raise UotaError(f"{name} has {len(files)} image(s) for {split}; at least two are needed")
    return PackedSource(name, files, labels, classes, options or FolderOptions(), left_out=left_out)


def load_saved(name: str) -> tuple[Any, dict[str, Any]]:
    """Load a saved data set.

    Returns:
        What `datasets` loads, and all its tables, by the names of their folders.

    Raises:
        UotaError: `datasets` is not installed, or the folder cannot be read.
    """
    if not find_spec("datasets"):
        raise UotaError(f"{name} was saved by `datasets`; to read it, pip install 'uota[datasets]'")
    import datasets

    folder, _ = _folder_and_columns(name)
    try:
        loaded = datasets.load_from_disk(str(folder))
    except Exception as error:
        raise UotaError(f"{folder} cannot be read ({error}); save or copy it again") from error
    return loaded, dict(loaded) if isinstance(loaded, dict) else {"": loaded}


def _folder_and_columns(name: str) -> tuple[Path, dict[str, str]]:
    path, _, columns = name.partition("#")
    folder = path_of(name)
    return (folder, {}) if folder.exists() else (path_of(path), dict(parse_qsl(columns)))


def _rows(folder: Path, table: Any, chosen: str | None, name: str) -> Rows:
    """The images of a table, still encoded."""
    import datasets

    image = _column(table, "Image", chosen, name)
    if image is None:
        raise UotaError(f"{folder} has no column of images, only {', '.join(table.column_names)}; cast one to Image")
    images = table.select_columns(image).cast_column(image, datasets.Image(decode=False)).with_format(None)
    return Rows(folder, images, image, np.arange(len(table)))


def _of_split(
    loaded: Any, split: Split, name: str, label: str | None, left_out: LeftOut
) -> tuple[dict[str, Any], bool]:
    """The tables that contain a split, by the names of their folders, and whether they contain nothing else."""
    if not isinstance(loaded, dict):
        return {"": loaded}, split == "all"
    if split == "all":
        return dict(loaded), True
    train = next((part for part in sorted(loaded) if split_of(part) == "train"), None)
    tests = test_names_first(loaded)
    if train is None or not tests:
        if len(loaded) > 1:
            raise UotaError(f"{name} has the splits {', '.join(loaded)}; give the folder of one of them")
        (part,) = loaded
        return {part: loaded[part]}, False
    labelled = {part: _is_labelled(loaded[part], label, name) for part in (train, *tests)}
    test = next((part for part in tests if not labelled[train] or labelled[part]), None)
    for part in loaded:
        if part not in (train, test):
            why = "are in a split without labels" if labelled.get(part) is False else "are in a split that is not used"
            left_out.add(f"row(s) {why}", part, len(loaded[part]))
    if test is None:
        return {train: loaded[train]}, False
    part = train if split == "train" else test
    return {part: loaded[part]}, True


def _is_labelled(table: Any, label: str | None, name: str) -> bool:
    labels, _ = _labels(table, _column(table, "ClassLabel", label, name))
    return labels is not None


def _column(table: Any, kind: str, chosen: str | None, name: str) -> str | None:
    """The column with this type of feature; None if there is none."""
    found = [column for column, feature in table.features.items() if type(feature).__name__ == kind]
    what = "image" if kind == "Image" else "label"
    if chosen is not None and chosen not in found:
        known = ", ".join(found) or "none"
        encode = "" if kind == "Image" else f", and class_encode_column({chosen!r}) makes one of names or numbers"
        raise UotaError(f"{name}: {chosen!r} is not a column of the type {kind}; these are: {known}{encode}")
    if chosen is None and len(found) > 1:
        raise UotaError(f"{name} has several columns of the type {kind}; choose one by #{what}= {' or '.join(found)}")
    return chosen or (found[0] if found else None)


def _columns_like_labels(table: Any) -> list[str]:
    """Sentences on columns that are named like labels but have another type."""
    return [
        f"the column {name!r} is not a ClassLabel and is not read; save it with class_encode_column({name!r})"
        for name, feature in table.features.items()
        if name.lower() in LABEL_NAMES and type(feature).__name__ != "ClassLabel"
    ]


def _labels_of_all(
    tables: Sequence[Any], column: str | None, name: str
) -> tuple[Int64[np.ndarray, " rows"] | None, list[str] | None]:
    """The labels of the rows of several tables, matched by the names of their classes."""
    found = [_labels(table, _column(table, "ClassLabel", column, name)) for table in tables]
    classes = list(dict.fromkeys(title for _, titles in found for title in titles or []))
    if not classes:
        return None, None
    number = {title: place for place, title in enumerate(classes)}
    renumbered = []
    for table, (labels, titles) in zip(tables, found, strict=True):
        numbers = np.array([*(number[title] for title in titles or []), UNLABELLED])  # the label -1 selects the last
        renumbered.append(np.full(len(table), UNLABELLED) if labels is None else numbers[labels])
    return np.concatenate(renumbered), classes


def _labels(table: Any, column: str | None) -> tuple[Int64[np.ndarray, " rows"] | None, list[str] | None]:
    """Labels and their names, with -1 for an image without a label; None if no image has a label."""
    if column is None:
        return None, None
    classes = list(table.features[column].names)
    labels = table.select_columns(column).with_format("arrow")[:].column(0).fill_null(UNLABELLED).to_numpy()
    labels = np.where((labels >= 0) & (labels < len(classes)), labels, UNLABELLED).astype(np.int64)
    return (labels, classes) if (labels != UNLABELLED).any() else (None, None)
