"""Data sets that Hugging Face's `datasets` saved to disk: Arrow tables, mapped into memory and read by row."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
from jaxtyping import Int64
from numpy.typing import NDArray

from uota.data.files.decode import UnreadableError
from uota.data.files.decoded import FolderOptions
from uota.data.files.left_out import LeftOut
from uota.data.files.splits import UNLABELLED, in_share, split_of, test_names_first
from uota.data.packed.source import PackedSource
from uota.data.source import Split
from uota.errors import UotaError
from uota.io.outputs import path_of

LABEL_NAMES = {"label", "labels", "class", "classes", "cls", "target", "targets", "category", "y"}
# Files that `save_to_disk` writes into the folder of a data set, and of a data set with splits.
TABLE, SPLITS = "state.json", "dataset_dict.json"


class Rows:
    """The images in a column of a table, by index; takes 8 bytes of memory for each."""

    def __init__(self, folder: Path, table: Any, column: str, rows: Int64[np.ndarray, " len"]) -> None:
        """Keep the table; image i is in row `rows[i]`."""
        self.folder, self.table, self.column, self.rows = folder, table, column, rows

    def __len__(self) -> int:
        """Number of images."""
        return len(self.rows)

    def path(self, index: int) -> Path:
        """The table's folder, followed by the number of the row."""
        return self.folder / f"row {self.rows[index]}"

    def read(self, index: int) -> NDArray[np.uint8]:
        """The bytes of an image, which `save_to_disk` copies into the table.

        Raises:
            UnreadableError: the cell is empty.
        """
        cell = self.table[int(self.rows[index])][self.column]
        if cell is None or cell["bytes"] is None:
            raise UnreadableError("the cell is empty")
        return np.frombuffer(cell["bytes"], dtype=np.uint8)

    def fingerprint_parts(self) -> Iterator[bytes]:
        """The column and the numbers of the rows."""
        yield self.column.encode()
        yield np.asarray(self.rows, dtype=np.int64).tobytes()


def is_saved(name: str) -> bool:
    """Whether this names a folder that `save_to_disk` of `datasets` wrote."""
    folder = _folder_and_columns(name)[0]
    return (folder / TABLE).is_file() or (folder / SPLITS).is_file()


def open_saved(name: str, split: Split, options: FolderOptions | None = None) -> PackedSource:
    """The images of a split of a saved data set.

    The splits are those of the data set, if it has both train and test (or validation); if the training images have
    labels, test is the first test split with labels. In any other data set a fifth of each class, chosen by a hash of
    the row number, is the test split; without labels both splits contain all images. Rows without a label, or with a
    label that has no class name, get the label -1 and belong to training.

    Args:
        name: the folder, followed by `#image=NAME&label=NAME` if it has several columns of images or labels.
        split: train or test.
        options: how images are read; none are kept in memory.

    Raises:
        UotaError: `datasets` is not installed, or the columns are missing or ambiguous.
    """
    if not find_spec("datasets"):
        raise UotaError(f"{name} was saved by `datasets`; to read it, pip install 'uota[datasets]'")
    import datasets

    folder, columns = _folder_and_columns(name)
    try:
        loaded = datasets.load_from_disk(str(folder))
    except Exception as error:
        raise UotaError(f"{folder} cannot be read ({error}); save or copy it again") from error
    left_out = LeftOut()
    table, part, given = _of_split(loaded, split, name, columns.get("label"), left_out)
    image = _column(table, "Image", columns.get("image"), name)
    if image is None:
        raise UotaError(f"{name} has no column of images, only {', '.join(table.column_names)}; cast one to Image")
    labels, classes = _labels(table, _column(table, "ClassLabel", columns.get("label"), name))
    if labels is None:
        left_out.remarks += _columns_like_labels(table)
    if labels is not None and (without := int((labels == UNLABELLED).sum())):
        first = f"row {int((labels == UNLABELLED).argmax())}"
        left_out.add("row(s) have no class label, and are not used in evaluations", first, without)
    rows = np.arange(len(table))
    if labels is not None and not given:
        chosen = in_share((str(row).encode() for row in rows), labels, split)
        rows, labels = rows[chosen], labels[chosen]
    if len(rows) < 2:
        raise UotaError(f"{name} has {len(rows)} image(s) for {split}; at least two are needed")
    images = table.select_columns(image).cast_column(image, datasets.Image(decode=False)).with_format(None)
    files = Rows(folder / part, images, image, rows)
    return PackedSource(name, files, labels, classes, options or FolderOptions(), left_out=left_out)


def _folder_and_columns(name: str) -> tuple[Path, dict[str, str]]:
    path, _, columns = name.partition("#")
    folder = path_of(name)
    return (folder, {}) if folder.exists() else (path_of(path), dict(parse_qsl(columns)))


def _of_split(loaded: Any, split: Split, name: str, label: str | None, left_out: LeftOut) -> tuple[Any, str, bool]:
    """The table of a split, the name of its folder, and whether the data set has both splits."""
    if not isinstance(loaded, dict):
        return loaded, "", False
    train = next((part for part in sorted(loaded) if split_of(part) == "train"), None)
    tests = test_names_first(loaded)
    if train is None or not tests:
        if len(loaded) > 1:
            raise UotaError(f"{name} has the splits {', '.join(loaded)}; give the folder of one of them")
        (part,) = loaded
        return loaded[part], part, False
    labelled = {part: _is_labelled(loaded[part], label, name) for part in (train, *tests)}
    test = next((part for part in tests if not labelled[train] or labelled[part]), None)
    for part in loaded:
        if part not in (train, test):
            why = "are in a split without labels" if labelled.get(part) is False else "are in a split that is not used"
            left_out.add(f"row(s) {why}", part, len(loaded[part]))
    if test is None:
        return loaded[train], train, False
    part = train if split == "train" else test
    return loaded[part], part, True


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


def _labels(table: Any, column: str | None) -> tuple[Int64[np.ndarray, " rows"] | None, list[str] | None]:
    """Labels and their names, with -1 for an image without a label; None if no image has a label."""
    if column is None:
        return None, None
    classes = list(table.features[column].names)
    labels = table.select_columns(column).with_format("arrow")[:].column(0).fill_null(UNLABELLED).to_numpy()
    labels = np.where((labels >= 0) & (labels < len(classes)), labels, UNLABELLED).astype(np.int64)
    return (labels, classes) if (labels != UNLABELLED).any() else (None, None)
