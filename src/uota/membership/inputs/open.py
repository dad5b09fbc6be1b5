"""Members of whatever a user names: a table, an array, a run, packed images, or a folder of groups."""

from dataclasses import dataclass, field
from pathlib import Path

from uota.console import printable
from uota.data.packed.saved import is_saved
from uota.data.packed.shards import are_shards, find_shards
from uota.data.places import places_of
from uota.errors import UotaError
from uota.io.outputs import path_of
from uota.io.reading import is_same_path
from uota.membership.inputs.arrays import is_array, read_array, table_of
from uota.membership.inputs.columns import Wanted
from uota.membership.inputs.members import Members
from uota.membership.inputs.pictures import Looking, is_run, looking, read_folder
from uota.membership.inputs.samples import read_samples
from uota.membership.inputs.saved import read_saved
from uota.membership.inputs.tables import is_table, open_table, read_members
from uota.runs.run import Run
from uota.settings.pretrain import Reading


@dataclass(frozen=True)
class Named:
    """What a user names.

    Attributes:
        source: a file, a folder, a run, or the name of a data set.
        wanted: its columns or fields.
        eyes: what pictures are seen with.
        backbone: network of a file of weights that is given as eyes.
        reading: how pictures are read.
    """

    source: str
    wanted: Wanted
    eyes: str = "auto"
    backbone: str | None = None
    reading: Reading = field(default_factory=Reading)


def open_members(named: Named) -> Members:
    """Read the members that a user names.

    Raises:
        UotaError: there is no such source, or an option does not fit it.
    """
    path = path_of(named.source)
    if is_table(path) or is_array(path):
        _no_eyes(named)
        return read_array(path, named.wanted) if is_array(path) else read_members(open_table(path), named.wanted)
    run = Run(path) if is_run(named.source) else None
    source = run.settings().data.source if run else named.source
    return _pictures(source, named.wanted, looking(named.eyes, named.backbone, named.reading, run))


def _pictures(source: str, wanted: Wanted, seen: Looking) -> Members:
    if are_shards(source):
        return read_samples(source, wanted, seen)
    if is_saved(source):
        return read_saved(source, wanted, seen)
    for option, value in vars(wanted).items():
        if value is not None:
            raise UotaError(
                f"--{option} {printable(value)} is for tables, and in {printable(source)} each folder is a group; "
                f"leave it out, or give a table"
            )
    return read_folder(source, seen)


def _no_eyes(named: Named) -> None:
    if named.eyes != "auto" or named.backbone is not None:
        raise UotaError(
            f"{printable(named.source)} has embeddings, which need no eyes; leave --eyes and --backbone out"
        )


def check_inputs_kept(named: Named, outputs: list[Path]) -> None:
    """Check that nothing that is read would be overwritten.

    Raises:
        UotaError: an output is an input.
    """
    path = path_of(named.source)
    inputs = [path]
    if is_array(path):
        inputs += [found] if (found := table_of(path, named.wanted.group)) else []
    elif places_of(named.source) and not path.exists() and are_shards(named.source):
        inputs += find_shards(named.source)
    for output in outputs:
        if any(is_same_path(output, each) for each in inputs):
            raise UotaError(f"{printable(output)} is read, and would be overwritten; choose another name")
