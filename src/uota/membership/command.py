"""The work of `uota misfiled`: judge the members of what the command line names, and write the tables."""

from collections.abc import Iterator

from uota.console import printable
from uota.distributed import rank
from uota.io.outputs import check_writable, path_of
from uota.io.tables import check_table
from uota.membership.api import judge
from uota.membership.inputs.open import Named, check_inputs_kept, open_members
from uota.membership.summary import summarise
from uota.runs.folder import check_output


def judge_and_write(named: Named, table: str, groups_table: str | None = None, seed: int = 0) -> Iterator[str]:
    """Judge members and groups, and write the tables; with several ranks, the first one does.

    Args:
        named: where the members are.
        table: .csv or .parquet file with one row per member.
        groups_table: .csv or .parquet file with one row per group.
        seed: of the exchanges and samples.

    Yields:
        What a person should read.

    Raises:
        UotaError: members cannot be read or judged, or a table cannot be written.
    """
    outputs = [path_of(file) for file in (table, groups_table) if file is not None]
    for output, option in zip(outputs, ("table", "groups-table"), strict=False):
        check_table(output, option)
    check_writable(*outputs)
    check_output(*outputs, data=named.source)
    check_inputs_kept(named, outputs)
    found = judge(open_members(named), seed)
    if rank():
        return
    found.save(outputs[0])
    if groups_table is not None:
        found.save_groups(outputs[1])
    yield from summarise(found)
    yield f"written: {', '.join(map(printable, outputs))}"
