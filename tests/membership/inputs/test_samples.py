"""Tar shards, whose fields are files of samples or entries of their .json."""

import io
import json
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

from uota.errors import UotaError
from uota.membership.inputs import samples
from uota.membership.inputs.columns import Wanted
from uota.membership.inputs.pictures import looking
from uota.membership.inputs.samples import read_samples
from uota.settings.pretrain import Reading

SEEN = looking("auto", None, Reading())


def saved(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def write_shards(folder, given, per_shard=9):
    """Write samples, each a mapping from extensions to contents."""
    for first in range(0, len(given), per_shard):
        with tarfile.open(folder / f"s-{first // per_shard}.tar", "w") as tar:
            for number, fields in enumerate(given[first : first + per_shard], first):
                for extension, content in fields.items():
                    member = tarfile.TarInfo(f"things/{number:03}.{extension}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
    return str(folder / "s-{0..2}.tar" if len(given) > 2 * per_shard else folder / "s-0.tar")


def test_arrays_and_entries_of_json_are_embeddings(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(samples, "SAMPLES", 5)
    vectors, groups, _ = rows
    entries = [{"product": group, "v": row.tolist()} for group, row in zip(groups, vectors, strict=True)]
    entries[3]["product"] = entries[4]["v"] = None
    of_json = write_shards(tmp_path, [{"json": json.dumps(each).encode()} for each in entries])
    kept = [row for row in range(len(groups)) if row not in (3, 4)]
    for wanted in (Wanted(), Wanted("product", "v")):
        members = read_samples(of_json, wanted, SEEN)
        assert torch.equal(members.features["embedding"], torch.tensor(vectors[kept]))
        assert [members.names[number] for number in members.group.tolist()] == [groups[row] for row in kept]
    assert members.ids[0] == "s-0.tar/things/000"
    half = vectors.astype(np.float16)
    fields = [{"cls": b"%d" % (row % 3), "emb.npy": saved(each)} for row, each in enumerate(half)]
    members = read_samples(write_shards(tmp_path, fields), Wanted(), SEEN)
    assert torch.equal(members.features["embedding"], torch.tensor(half))
    assert members.names == ["0", "1", "2"]


def test_without_embeddings_the_images_are_looked_at(tmp_path):
    given = []
    for row in range(8):
        file = io.BytesIO()
        Image.fromarray(np.full((16, 16, 3), 20 * row, dtype=np.uint8)).save(file, "PNG")
        given.append({"png": file.getvalue(), "json": json.dumps({"product": row // 2, "key": f"k{row}"}).encode()})
    name = write_shards(tmp_path, given)
    members = read_samples(name, Wanted("product", id="key"), looking("thumbnails", None, Reading()))
    assert members.ids == [f"k{row}" for row in range(8)]
    assert members.group.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    (picture,) = members.origin.images([3])
    assert picture.unique().tolist() == [60]
    members = read_samples(name, Wanted("product"), looking("thumbnails", None, Reading()))
    assert members.id_name == "id"


def test_what_cannot_be_read_ends_in_one_sentence(tmp_path):
    def assert_refused(says, fields, **wanted):
        with pytest.raises(UotaError, match=says):
            read_samples(write_shards(tmp_path, fields), Wanted(**wanted), SEEN)

    row = saved(np.zeros(2))
    assert_refused("--group kind is no column of .*, which has cls", [{"cls": b"1", "npy": row}] * 4, group="kind")
    assert_refused("things/001: .json cannot be read", [{"json": b'{"g": 1, "v": [1, 2]}'}, {"json": b"{"}], group="g")
    assert_refused(
        "the embedding of sample 1 has 3 numbers and those before it 2",
        [{"cls": b"1", "npy": row}, {"cls": b"1", "npy": saved(np.zeros(3))}],
    )
    assert_refused("things/000: .npy cannot be read", [{"cls": b"1", "npy": b"x"}])
    assert_refused(
        "a group in .* is a list", [{"json": b'{"g": 1, "v": [1, 2]}'}, {"json": b'{"g": [1], "v": [1, 2]}'}]
    )
    shard = tmp_path / "s-0.tar"
    shard.write_bytes(shard.read_bytes()[:700])
    with pytest.raises(UotaError, match="is not a complete, uncompressed tar file"):
        read_samples(str(shard), Wanted(), SEEN)
