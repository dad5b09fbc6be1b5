"""The work of `uota misfiled`: judge the members of what the command line names, and write page, tables and exports."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from uota.console import printable
from uota.distributed import rank
from uota.errors import UotaError
from uota.io.outputs import check_writable, check_writable_folder, path_of
from uota.io.tables import check_table
from uota.membership.api import judge
from uota.membership.exports import write_fiftyone, write_lightly_studio
from uota.membership.inputs.open import Named, check_inputs_kept, open_members
from uota.membership.result import Misfiled
from uota.membership.summary import summarise
from uota.runs.folder import check_output

PAGE = ".html"
FIFTYONE, LIGHTLY_STUDIO = "fiftyone", "lightly-studio"
EXPORTS: Mapping[str, Callable[[Misfiled, Path, Path], None]] = {
    FIFTYONE: write_fiftyone,
    LIGHTLY_STUDIO: write_lightly_studio,
}


@dataclass(frozen=True)
class Outputs:
    """What to write.

    Attributes:
        page: .html file.
        table: .csv or .parquet file with one row per member.
        groups: .csv or .parquet file with one row per group; None: none.
        export: for whom, and what to write for them: `fiftyone=FILE.json` or `lightly-studio=FOLDER`; None: nothing.
    """

    page: str
    table: str
    groups: str | None = None
    export: str | None = None


def judge_and_write(named: Named, outputs: Outputs, seed: int = 0) -> Iterator[str]:
    """Judge members and groups, and write the page and the tables; with several ranks, the first one writes.

    Args:
        named: where the members are.
        outputs: what to write.
        seed: of the exchanges and samples.

    Yields:
        What a person should read.

    Raises:
        UotaError: members cannot be read or judged, or an output cannot be written.
    """
    page, table = path_of(outputs.page), path_of(outputs.table)
    groups = None if outputs.groups is None else path_of(outputs.groups)
    export = None if outputs.export is None else _parse_export(outputs.export)
    if page.suffix != PAGE:
        raise UotaError(f"{printable(page)} is no .html file; give --out one, and --table the name of a table")
    check_table(table, "table")
    if groups is not None:
        check_table(groups, "groups-table")
    _check(named, [page, table] + ([] if groups is None else [groups]), export)
    members = open_members(named)
    if export is not None and members.origin.folder is None:
        raise UotaError(f"--export is for files in a folder, and {printable(named.source)} has none; leave it out")
    folder, found = members.origin.folder, judge(members, seed)
    del members  # embeddings may take more memory than all that is written
    if rank():
        return
    written = [found.save(table), found.save_page(page)]
    if groups is not None:
        written.append(found.save_groups(groups))
    if export is not None and folder is not None:
        EXPORTS[export[0]](found, folder, export[1])
        written.append(export[1])
    yield from summarise(found)
    yield f"written: {', '.join(map(printable, written))}"


def _parse_export(text: str) -> tuple[str, Path]:
    """Return for whom an export is, and where it goes."""
    name, equals, path = text.partition("=")
    if name not in EXPORTS or not equals:
        raise UotaError(
            f"--export is {printable(text)}; give {FIFTYONE}=FILE.json or {LIGHTLY_STUDIO}=FOLDER, a file or a folder "
            "to write"
        )
    return name, path_of(path)


def _check(named: Named, files: list[Path], export: tuple[str, Path] | None) -> None:
    """Check before any work that outputs can be written, and overwrite neither each other nor what is read."""
    if export is not None and export[0] == LIGHTLY_STUDIO:
        check_writable_folder(export[1])
    elif export is not None:
        files = [*files, export[1]]
    check_writable(*files)
    check_output(*files, data=named.source)
    check_inputs_kept(named, files)
