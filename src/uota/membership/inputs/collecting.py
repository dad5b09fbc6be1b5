"""Members that arrive in parts, collected into one array; those without an embedding or a group are left out."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from uota.console import printable
from uota.data.files.left_out import LeftOut
from uota.distributed import rank
from uota.errors import UotaError
from uota.membership.inputs.members import Members, members_of
from uota.membership.inputs.names import Numbered, Numbering, as_text, is_missing
from uota.membership.inputs.storage import allocate
from uota.membership.inputs.vectors import EMBEDDING, of_array
from uota.membership.origin import Origin

logger = logging.getLogger(__name__)
NO_EMBEDDING = "row(s) have no embedding, or one with missing, NaN or infinite entries, and are left out"
NO_GROUP = "row(s) have no group, and are left out"


class Part(NamedTuple):
    """Some rows of a table.

    Attributes:
        vectors: embeddings with half or single precision; NaN where they are missing.
        groups: group of each row; None, or NaN, if it is missing.
        ids: name of each row; None: the table has no names.
    """

    vectors: Float[ndarray, "rows dim"]
    groups: Sequence[Any]
    ids: Sequence[Any] | None = None


class Collector:
    """Collects parts of a table.

    Args:
        name: of the table.
        rows: number of rows of all parts.
    """

    def __init__(self, name: str, rows: int) -> None:
        self.name, self.rows, self.seen, self.kept = name, rows, 0, 0
        self.vectors: ndarray | None = None
        self.number = np.empty(rows, dtype=np.int64)
        self.ids: list[str] = []
        self.numbering, self.left_out = Numbering(), LeftOut()

    @property
    def width(self) -> int | None:
        """Numbers in each embedding; None as long as there was none."""
        return None if self.vectors is None else self.vectors.shape[1]

    def add(self, part: Part) -> None:
        """Add the next rows.

        Raises:
            UotaError: there are more than the table was said to have.
        """
        count = len(part.groups)
        if self.seen + count > self.rows:
            raise UotaError(f"{printable(self.name)} changed while it was read; run the command again")
        embedded = np.isfinite(part.vectors).all(1) if part.vectors.shape[1] else np.zeros(count, dtype=bool)
        grouped = np.array([not is_missing(group) for group in part.groups], dtype=bool)
        self._say(~embedded, NO_EMBEDDING, part)
        self._say(embedded & ~grouped, NO_GROUP, part)
        kept = np.nonzero(embedded & grouped)[0]
        if len(kept):
            self._keep(part, kept)
        self.seen += count

    def _keep(self, part: Part, kept: ndarray) -> None:
        if self.vectors is None:
            self.vectors = allocate((self.rows - self.seen, part.vectors.shape[1]), part.vectors.dtype)
        places = slice(self.kept, self.kept + len(kept))
        whole = len(kept) == len(part.groups)
        self.vectors[places] = part.vectors if whole else part.vectors[kept]
        groups = part.groups if whole else [part.groups[row] for row in kept.tolist()]
        try:
            self.number[places] = self.numbering.add(groups)
        except TypeError as error:  # of lists in JSON
            raise UotaError(
                f"a group in {printable(self.name)} is a list or the like; give texts or numbers"
            ) from error
        self.ids += [self._id(part, row) for row in kept.tolist()]
        self.kept = places.stop

    def _id(self, part: Part, row: int) -> str:
        if part.ids is None or is_missing(part.ids[row]):
            return f"row {self.seen + row}" if part.ids else str(self.seen + row)
        return as_text(part.ids[row])

    def _say(self, lost: ndarray, reason: str, part: Part) -> None:
        rows = np.nonzero(lost)[0].tolist()
        if rows:
            named = f"row {self.seen + rows[0]}"
            has_id = part.ids is not None and not is_missing(part.ids[rows[0]])
            self.left_out.add(
                reason, f"{named} ({as_text(part.ids[rows[0]])})" if part.ids and has_id else named, len(rows)
            )

    def members(self, id_name: str = "id") -> Members:
        """Return all members, and print what was left out.

        Raises:
            UotaError: none are left.
        """
        for sentence in self.left_out.remarks_of(self.name):
            logger.warning(sentence)
        if self.vectors is None:
            raise UotaError(f"{printable(self.name)} has no rows with an embedding and a group; give a table with some")
        groups = Numbered(self.number[: self.kept], self.numbering.names())
        features = {EMBEDDING: of_array(self.vectors[: self.kept])}
        return members_of(features, groups, self.ids, id_name, Origin(self.name))


def say_guesses(table: str, guessed: Mapping[str, str]) -> None:
    """Print which columns were guessed."""
    if guessed and rank() == 0:
        options = " ".join(f"--{option} {printable(name)}" for option, name in guessed.items())
        logger.info(f"{printable(table)}: guessed, as the only columns that fit: {options}")
