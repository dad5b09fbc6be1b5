"""What `uota.misfiled` returns: a verdict on each member and on each group."""

from pathlib import Path
from typing import Any

from uota.io.atomic import write_text_atomically
from uota.io.tables import to_frame, write_columns
from uota.membership.origin import with_images
from uota.membership.page.html import page
from uota.membership.verdicts import Verdicts


class Misfiled(Verdicts):
    """Verdicts on members and groups, which are written as tables and as a page."""

    def to_frame(self) -> Any:
        """Return the table of members, worst first, as a pandas DataFrame.

        Raises:
            UotaError: pandas is not installed.
        """
        return to_frame(self.columns())

    def groups_to_frame(self) -> Any:
        """Return the table of groups as a pandas DataFrame.

        Raises:
            UotaError: pandas is not installed.
        """
        return to_frame(self.group_columns())

    def save(self, path: str | Path) -> Path:
        """Write the table of members, worst first, as .csv or .parquet.

        Raises:
            UotaError: the suffix is another, or the file cannot be written.
        """
        write_columns(self.columns(), Path(path))
        return Path(path)

    def save_groups(self, path: str | Path) -> Path:
        """Write the table of groups as .csv or .parquet.

        Raises:
            UotaError: the suffix is another, or the file cannot be written.
        """
        write_columns(self.group_columns(), Path(path))
        return Path(path)

    def html(self, images: Any = None) -> str:
        """Return the page of the members that probably do not belong, worst first.

        Args:
            images: a picture of each member, in their order: a list of paths, a `uota.data.Source`, or a list or data
                set of pictures. None: the pictures that were judged; of members that are no pictures, names are shown.

        Raises:
            UotaError: there are more or fewer pictures than members.
        """
        return page(self, self.origin if images is None else with_images(self.origin, images, len(self.ids)))

    def save_page(self, path: str | Path, images: Any = None) -> Path:
        """Write the page as one file that needs no network; see `html`.

        Raises:
            UotaError: there are more or fewer pictures than members, or the file cannot be written.
        """
        write_text_atomically(Path(path), self.html(images))
        return Path(path)

    def __repr__(self) -> str:
        """Summarise the verdicts in one line."""
        low, high = self.members.interval
        return (
            f"Misfiled: {100 * self.members.share:.1f} % ({100 * low:.1f} to {100 * high:.1f} %) of {len(self.ids)} "
            f"members of {len(self.names)} groups do not belong"
        )
