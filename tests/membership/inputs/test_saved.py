"""Data sets that Hugging Face's `datasets` saved."""

import numpy as np
import pytest
import torch
from PIL import Image

from uota.errors import UotaError
from uota.membership.inputs.columns import Wanted
from uota.membership.inputs.pictures import looking
from uota.membership.inputs.saved import read_saved
from uota.settings.pretrain import Reading

datasets = pytest.importorskip("datasets")
SEEN = looking("auto", None, Reading())


@pytest.fixture
def saved(tmp_path):
    """Return a function that saves columns and their features."""
    datasets.disable_progress_bars()

    def save(columns, features=None):
        table = datasets.Dataset.from_dict(columns, features and datasets.Features(features))
        table.save_to_disk(str(tmp_path / "saved"))
        return str(tmp_path / "saved")

    return save


def test_embeddings_are_read_and_classes_have_their_names(rows, saved):
    vectors, _, ids = rows
    labels = [row % 3 for row in range(len(ids))]
    labels[4] = -1
    name = saved(
        {"v": vectors.tolist(), "label": labels, "key": ids, "kind": ids},
        {
            "v": datasets.Sequence(datasets.Value("float32"), length=5),
            "label": datasets.ClassLabel(names=["a", "b", "c"]),
            "key": datasets.Value("string"),
            "kind": datasets.Value("string"),
        },
    )
    members = read_saved(name, Wanted(), SEEN)
    kept = [row for row in range(len(ids)) if row != 4]
    assert torch.equal(members.features["embedding"], torch.tensor(vectors[kept]))
    assert [members.names[number] for number in members.group.tolist()] == ["abc"[row % 3] for row in kept]
    assert members.ids == [ids[row] for row in kept]
    assert read_saved(name, Wanted("kind"), SEEN).names == ids
    with pytest.raises(UotaError, match="has embeddings, which need no eyes"):
        read_saved(name, Wanted(), looking("thumbnails", None, Reading()))


def test_without_embeddings_the_images_are_looked_at(saved):
    pictures = [Image.fromarray(np.full((16, 16, 3), 20 * row, dtype=np.uint8)) for row in range(8)]
    groups = [f"thing {row // 2}" for row in range(8)]
    groups[7] = None
    name = saved(
        {"image": pictures, "product": groups},
        {"image": datasets.Image(), "product": datasets.Value("string")},
    )
    members = read_saved(name, Wanted(), looking("thumbnails", None, Reading()))
    assert members.ids == [f"row {row}" for row in range(7)]
    assert members.names == [f"thing {number}" for number in range(4)]
    assert len(members.features["thumbnails"]) == 7
    (picture,) = members.origin.images([3])
    assert picture is not None
    assert picture.unique().tolist() == [60]
