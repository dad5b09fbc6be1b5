"""Members in the samples of tar shards, whose fields are files of a sample or entries of its .json."""

import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from uota.console import printable
from uota.data.packed.shards import find_shards, open_shards
from uota.data.packed.tar_index import sample_name
from uota.data.packed.tar_members import members_of as members_of_tar
from uota.errors import UotaError
from uota.membership.inputs.collecting import Collector, Part, say_guesses
from uota.membership.inputs.columns import Kind, Wanted, choose_columns, choose_names
from uota.membership.inputs.members import Members
from uota.membership.inputs.names import as_text
from uota.membership.inputs.pictures import Looking, see

# Largest field of a sample that is read, in bytes, and samples that are collected at once.
FIELD_BYTES, SAMPLES = 2**24, 2**12
TEXTS = ("cls", "txt", "id")


@dataclass(frozen=True)
class Sample:
    """A sample of a shard.

    Attributes:
        shard: number of the shard.
        key: name of the sample.
        fields: its texts, arrays and entries of .json, by name.
    """

    shard: int
    key: str
    fields: dict[str, Any]


def read_samples(name: str, wanted: Wanted, looking: Looking) -> Members:
    """Read the members of tar shards; without a field of embeddings, look at their images.

    A field is the text of a sample's file by its extension (`cls`, `txt`), an array in a .npy file by its extension, or
    an entry of its .json. The kinds of fields are those of the first sample.

    Raises:
        UotaError: there are no such shards or fields, or a field cannot be read.
    """
    shards = find_shards(name)
    first = next(_samples(shards), None)
    if first is None:
        raise UotaError(f"{printable(name)} has no samples; give shards with some")
    kinds = {field: _kind(value) for field, value in first.fields.items()}
    if wanted.embedding is None and "vectors" not in kinds.values():
        columns = choose_names(name, kinds, wanted)
        say_guesses(name, columns.guessed)
        named = {
            (each.shard, each.key): (each.fields.get(columns.group), each.fields.get(columns.id or ""))
            for each in _samples(shards)
        }
        return _see_images(name, shards, named, looking, "file" if columns.id is None else "id")
    if looking.eyes != "auto":
        raise UotaError(f"{printable(name)} has embeddings, which need no eyes; leave --eyes out")
    columns = choose_columns(name, kinds, wanted)
    say_guesses(name, columns.guessed)
    samples, collector = _samples(shards), Collector(name, _count(shards))
    while some := list(islice(samples, SAMPLES)):
        vectors = _vectors([each.fields.get(columns.embedding[0]) for each in some], collector.seen, collector.width)
        ids = [_id(each, shards) if columns.id is None else each.fields.get(columns.id) for each in some]
        collector.add(Part(vectors, [each.fields.get(columns.group) for each in some], ids))
    return collector.members()


def _id(sample: Sample, shards: list[Path]) -> str:
    return f"{shards[sample.shard].name}/{sample.key}"


def _see_images(
    name: str, shards: list[Path], named: dict[tuple[int, str], tuple[Any, Any]], looking: Looking, id_name: str
) -> Members:
    """Look at the images of shards, given the group and the name of each sample."""
    source = open_shards(name, "all", looking.options)
    number = {shard: place for place, shard in enumerate(shards)}
    groups, ids = [], []
    for index in range(len(source)):
        path = source.path(index)
        shard = next(parent for parent in path.parents if parent in number)
        inside = path.relative_to(shard).as_posix()
        group, own = named.get((number[shard], sample_name(inside)[0]), (None, None))
        groups.append(group)
        ids.append(f"{shard.name}/{inside}" if own is None else as_text(own))
    return see(source, groups, ids, looking, id_name)


def _count(shards: list[Path]) -> int:
    """Count samples; what is in them is not read."""
    keys = (groupby(sample_name(name)[0] for name, _ in _files(shard, read=False)) for shard in shards)
    with _intact(shards):
        return sum(1 for of_shard in keys for _ in of_shard)


def _samples(shards: list[Path]) -> Iterator[Sample]:
    """Read the samples of all shards.

    Raises:
        UotaError: a shard is damaged, or a field cannot be read.
    """
    for number, shard in enumerate(shards):
        with _intact([shard]):
            for key, files in groupby(_files(shard), key=lambda file: sample_name(file[0])[0]):
                yield Sample(number, key, _fields(list(files), f"{shard}/{key}"))


@contextmanager
def _intact(shards: list[Path]) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, OSError) as error:
        which = f"one of {len(shards)} shards" if len(shards) > 1 else printable(shards[0])
        raise UotaError(f"{which} is not a complete, uncompressed tar file ({error}); copy it again") from error


def _files(shard: Path, read: bool = True) -> Iterator[tuple[str, bytes | None]]:
    """Read the files of samples that may be fields; of others, the content is None."""
    for member, tar in members_of_tar(shard):
        file = member.name.rpartition("/")[2]
        if not member.isreg() or member.issparse() or file.startswith(".") or member.name.startswith("__"):
            continue
        if "." not in file:
            continue
        opened = tar.extractfile(member) if read and _is_field(sample_name(member.name)[1]) else None
        if opened is not None and member.size > FIELD_BYTES:
            raise UotaError(f"{printable(shard / member.name)} has {member.size} bytes, too many for a field")
        yield member.name, None if opened is None else opened.read()


def _is_field(extension: str) -> bool:
    return extension in (*TEXTS, "json") or extension.rpartition(".")[2] == "npy"


def _fields(files: list[tuple[str, bytes | None]], sample: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, content in files:
        extension = sample_name(name)[1]
        if content is None:
            continue
        try:
            if extension == "json":
                entries = json.loads(content)
                found |= entries if isinstance(entries, dict) else {}
            elif extension in TEXTS:
                found[extension] = content.decode(errors="surrogateescape").strip() or None
            else:
                found[extension] = np.load(io.BytesIO(content), allow_pickle=False)
        except (ValueError, EOFError, OSError, RecursionError) as error:
            why = printable(str(error).partition("\n")[0])
            raise UotaError(
                f"{printable(sample)}: .{extension} cannot be read ({why}); write the shard again"
            ) from error
    return found


def _kind(value: Any) -> Kind:
    if isinstance(value, ndarray) or (isinstance(value, list) and value and all(map(_is_number, value))):
        return "vectors"
    if isinstance(value, float):
        return "numbers"
    return "names" if isinstance(value, str | int) else "other"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _vectors(values: list[Any], first: int, width: int | None) -> ndarray:
    """Return the embeddings of samples as rows; NaN for a sample without one."""
    rows = [None if value is None else _vector(value, first + place) for place, value in enumerate(values)]
    width = width or next((len(row) for row in rows if row is not None), 0)
    for place, row in enumerate(rows):
        if row is not None and len(row) != width:
            raise UotaError(
                f"the embedding of sample {first + place} has {len(row)} numbers and those before it {width}; "
                "give equally many in every sample"
            )
    found = [row for row in rows if row is not None]
    single = np.float16 if found and all(row.dtype == np.float16 for row in found) else np.float32
    return np.array([np.full(width, np.nan) if row is None else row for row in rows], dtype=single).reshape(-1, width)


def _vector(value: Any, sample: int) -> ndarray:
    try:
        array = np.asarray(value)
        array = array if array.dtype == np.float16 else array.astype(np.float32)
    except (TypeError, ValueError) as error:
        raise UotaError(
            f"the embedding of sample {sample} is not a row of numbers ({error}); write it again"
        ) from error
    if array.ndim != 1:
        raise UotaError(f"the embedding of sample {sample} has the shape {array.shape}; give one row of numbers")
    return array
