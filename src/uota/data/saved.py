"""A data set that Hugging Face's `datasets` saved to disk: Arrow tables, mapped into memory and read by row."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
from jaxtyping import Int64
from numpy.typing import NDArray

from uota.data.decoded import FolderOptions
from uota.data.listing import TEST_FOLDERS, in_share
from uota.data.packed import Packed
from uota.data.source import Split
from uota.errors import UotaError

# What `save_to_disk` leaves in the folder of a data set, and of one in splits.
TABLE, SPLITS = "state.json", "dataset_dict.json"


class Rows:
    """The images of a table, by index; 8 bytes for each in memory."""

    def __init__(self, folder: Path, table: Any, column: str, rows: Int64[np.ndarray, " len"]) -> None:
        """Image i is in `rows[i]`."""
        self.folder, self.table, self.column, self.rows = folder, table, column, rows

    def __len__(self) -> int:
        """Number of images."""
        return len(self.rows)

    def path(self, index: int) -> Path:
        """The table's folder, and the number of the row."""
        return self.folder / f"row {self.rows[index]}"

    def read(self, index: int) -> NDArray[np.uint8]:
        """The bytes of an image; `save_to_disk` puts those of files into the table.

        Raises:
            OSError: there are none.
        """
        cell = self.table[int(self.rows[index])][self.column]
        if cell is None or cell["bytes"] is None:
            raise OSError(f"{self.path(index)} is empty")
        return np.frombuffer(cell["bytes"], dtype=np.uint8)


def is_saved(name: str) -> bool:
    """Whether this names a folder that `save_to_disk` of `datasets` wrote."""
    folder = _folder_and_columns(name)[0]
    return (folder / TABLE).is_file() or (folder / SPLITS).is_file()


def open_saved(name: str, split: Split, options: FolderOptions | None = None) -> Packed:
    """The images of a split of a saved data set.

    Its splits are those that it was saved with, if both train and test (or validation) are there. Of others a fifth of
    each class is test, by a hash of the row's number; without labels both splits are all images.

    Args:
        name: the folder; and if it has several columns of images or of labels, `#image=NAME&label=NAME`.
        split: train or test.
        options: how images are read; none are kept in memory.

    Raises:
        UotaError: `datasets` is not installed, or the columns cannot be told.
    """
    if not find_spec("datasets"):
        raise UotaError(f"{name} was saved by `datasets`; to read it: pip install 'uota[datasets]'")
    import datasets

    folder, columns = _folder_and_columns(name)
    try:
        loaded = datasets.load_from_disk(str(folder))
    except Exception as error:
        raise UotaError(f"{folder} cannot be read ({error}): save it again, or copy it again.") from error
    table, part, given = _of_split(loaded, split, name)
    image = _column(table, "Image", columns.get("image"), name)
    if image is None:
        raise UotaError(f"{name} has no column of images, only {', '.join(table.column_names)}: cast one to Image.")
    labels, classes = _labels(table, _column(table, "ClassLabel", columns.get("label"), name))
    rows = np.arange(len(table))
    if labels is not None and not given:
        chosen = in_share((str(row).encode() for row in rows), labels, split)
        rows, labels = rows[chosen], labels[chosen]
    if len(rows) < 2:
        raise UotaError(f"{name} has {len(rows)} image(s) for {split}: at least two are needed.")
    images = table.select_columns(image).cast_column(image, datasets.Image(decode=False)).with_format(None)
    return Packed(name, Rows(folder / part, images, image, rows), labels, classes, options or FolderOptions())


def _folder_and_columns(name: str) -> tuple[Path, dict[str, str]]:
    path, _, columns = name.partition("#")
    folder = Path(name).expanduser()
    return (folder, {}) if folder.exists() else (Path(path).expanduser(), dict(parse_qsl(columns)))


def _of_split(loaded: Any, split: Split, name: str) -> tuple[Any, str, bool]:
    """A split's table, its folder's name, and whether the data set was saved in splits."""
    if not isinstance(loaded, dict):
        return loaded, "", False
    test = next((one for one in TEST_FOLDERS if one in loaded), None)
    if "train" in loaded and test:
        part = "train" if split == "train" else test
        return loaded[part], part, True
    if len(loaded) > 1:
        raise UotaError(f"{name} has the splits {', '.join(loaded)}: give the folder of the one that you mean.")
    (part,) = loaded
    return loaded[part], part, False


def _column(table: Any, kind: str, chosen: str | None, name: str) -> str | None:
    """The column of this type of feature; None where there is none."""
    found = [column for column, feature in table.features.items() if type(feature).__name__ == kind]
    what = "image" if kind == "Image" else "label"
    if chosen is not None and chosen not in found:
        raise UotaError(f"{name}: {chosen!r} is no column of the type {kind}; those are: {', '.join(found) or 'none'}.")
    if chosen is None and len(found) > 1:
        raise UotaError(f"{name} has several columns of the type {kind}: choose one by #{what}= {' or '.join(found)}.")
    return chosen or (found[0] if found else None)


def _labels(table: Any, column: str | None) -> tuple[Int64[np.ndarray, " rows"] | None, list[str] | None]:
    """Labels and their names; None where an image has none."""
    if column is None:
        return None, None
    classes = list(table.features[column].names)
    labels = table.select_columns(column).with_format("arrow")[:].column(0).fill_null(-1).to_numpy().astype(np.int64)
    return (labels, classes) if (labels >= 0).all() else (None, None)
