"""Pictures of members for the page, until they fill the room."""

from collections.abc import Sequence

from jaxtyping import UInt8
from torch import Tensor

from uota.membership.origin import Origin
from uota.pages.pictures import QUALITIES, data_uri, fitted

# Longest side of a picture on the page in pixels, and rows whose pictures are read at once.
SIDE, ROWS = 128, 24
Picture = UInt8[Tensor, "channels _height _width"]


class Album:
    """Data URIs of the pictures of members.

    Args:
        origin: where the pictures are.

    Attributes:
        uris: the pictures so far, by the number of the member.
        length: number of their characters.
    """

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.uris: dict[int, str] = {}
        self.length = 0

    def fill(self, rows: Sequence[Sequence[int]], room: int) -> None:
        """Add the pictures of rows of members, until all pictures have `room` characters.

        A row whose pictures do not all fit ends it. Quality falls until all rows fit, as estimated from the first ones.

        Args:
            rows: members whose pictures are shown together.
            room: most characters of all pictures so far.
        """
        if self.origin.pictures is None or not rows:
            return
        quality = self._quality(rows, room - self.length)
        for start in range(0, len(rows), ROWS):
            for added in self._encoded(rows[start : start + ROWS], quality):
                length = sum(map(len, added.values()))
                if self.length + length > room:
                    return
                self.uris |= added
                self.length += length

    def _quality(self, rows: Sequence[Sequence[int]], room: int) -> int:
        """Return the best quality in which all rows are expected to fit, or else the lowest."""
        first = rows[:ROWS]
        missing = len({member for row in rows for member in row} - self.uris.keys())
        known = self._read(first)
        for quality in QUALITIES:
            lengths = [len(data_uri(image, quality)) for image in known.values()]
            if not lengths or sum(lengths) / len(lengths) * missing <= room:
                return quality
        return QUALITIES[-1]

    def _encoded(self, rows: Sequence[Sequence[int]], quality: int) -> list[dict[int, str]]:
        """Return the pictures that each row adds."""
        images, seen = self._read(rows), set[int]()
        added = []
        for row in rows:
            new = [member for member in dict.fromkeys(row) if member in images and member not in seen]
            seen |= {*new}
            added.append({member: data_uri(images[member], quality) for member in new})
        return added

    def _read(self, rows: Sequence[Sequence[int]]) -> dict[int, Tensor]:
        """Read the pictures that rows need and that are not known yet, as far as they can be read."""
        wanted = sorted({member for row in rows for member in row} - self.uris.keys())
        images = self.origin.images(wanted)
        return {member: fitted(image, SIDE) for member, image in zip(wanted, images, strict=True) if image is not None}
