"""A source in one file: what a class of one's own needs, and where it can be used."""

import json
import re
from pathlib import Path

import pytest
import torch

import uota
from uota.data import Groups, MinimalSource, Source, TensorSource, as_source, open_source
from uota.data.open import NAMES, open_items
from uota.errors import UotaError
from uota.settings.pretrain import Pretrain
from uota.training.pretrain import pretrain
from uota.training.resolve import resolve_auto


class Stripes:
    """Twelve pictures of stripes, made when they are asked for: the six members that a source needs."""

    name, channels, classes = "stripes", 1, ["thin", "wide"]

    def __init__(self):
        self.labels = torch.arange(12) % 2

    def __len__(self):
        return 12

    def images(self, indices):
        return [self._image(index) for index in indices]

    def _image(self, index):
        width = 2 + 4 * (index % 2)
        lines = (torch.arange(28) + index) // width % 2 * 255
        return lines.to(torch.uint8).expand(1, 28, 28)


class NamedStripes(Stripes, Source):
    """Stripes that know more of themselves than a source must."""

    default_views = "small-grey"

    def display_name(self, index):
        return f"stripe {index}"

    def truth(self, index, boxes):
        return boxes[..., 0] == 0

    def unreadable(self, images):
        return images == 3


@pytest.fixture(params=[Stripes, NamedStripes])
def stripes(request, monkeypatch):
    """A source of that class, known to `open_source` by its name."""
    monkeypatch.setitem(NAMES, "stripes", lambda split, options: request.param())
    return request.param()


def test_six_members_are_enough(stripes):
    assert isinstance(stripes, MinimalSource)
    source = as_source(stripes)
    assert isinstance(source, Source)
    assert as_source(source) is source
    assert (source.name, source.channels, source.classes, len(source)) == ("stripes", 1, ["thin", "wide"], 12)
    assert source.labels is stripes.labels
    assert torch.equal(source.images([5])[0], stripes.images([5])[0])
    assert (source.in_memory, source.unit, source.total, source.skipped) == (False, "image", 12, [])
    assert source.files is source


def test_members_of_its_own_are_kept():
    source = as_source(NamedStripes())
    assert source.display_name(4) == "stripe 4"
    assert source.unreadable(torch.tensor([2, 3])).tolist() == [False, True]
    assert source.truth(torch.arange(2), torch.zeros(6, 2, 4)).all()


def test_a_member_that_a_default_would_hide_is_refused():
    class HalfASource(Stripes):
        def truth(self, index, boxes):
            return None

    with pytest.raises(UotaError, match=r"HalfASource has truth but not all members.*inherit from uota\.data\.Source"):
        as_source(HalfASource())


def test_a_new_source_is_inspected(stripes):
    found = uota.inspect(stripes, views="small-grey", eyes="thumbnails", steps=0)
    named = isinstance(stripes, Source)
    columns = found.table.columns()
    expected = {f"stripe {index}" for index in range(12) if index != 3} if named else set(map(str, range(12)))
    assert set(columns["image"]) == expected
    assert ("wrong" in columns) == named
    assert set(columns["class"]) == {"thin", "wide"}


def test_a_new_source_is_trained_on_by_its_name(stripes, tmp_path, capsys):
    settings = Pretrain.from_flat(
        data="stripes", views="small-grey", epochs=1, batch_size=6, devices=1, accelerator="cpu"
    )
    run = pretrain(settings, tmp_path / "run", bar=False)
    assert "training on 12 images of stripes" in capsys.readouterr().out
    assert json.loads(run.data_file.read_text())["images"] == 12
    pretrain(settings, tmp_path / "run", resume=True, bar=False)  # the images are recognised


def test_default_views_of_a_source():
    settings = Pretrain.from_flat(data="stripes")
    assert resolve_auto(settings, NamedStripes()).views.preset == "small-grey"
    assert resolve_auto(settings, open_source("demo")).views.preset == "small-grey"
    assert resolve_auto(settings, open_source("demo-scenes-colour")).views.preset == "scenes-colour"


def test_groups_of_any_source():
    files = as_source(NamedStripes())
    groups = Groups(files, [range(4), range(4, 12)])
    assert (groups.unit, groups.files, groups.total) == ("group", files, 12)
    assert groups.display_name(1) == "1"
    assert groups.belongs(torch.tensor([[3, 3], [4, 4]]), torch.tensor([0, 1])).tolist() == [
        [True, False],
        [False, True],
    ]
    assert groups.unreadable(torch.tensor([[3, 4]])).tolist() == [[True, False]]
    assert [*groups.fingerprint_parts()][1:] == [*files.fingerprint_parts()]


def test_images_in_memory_need_no_workers():
    pixels = torch.zeros(4, 1, 8, 8, dtype=torch.uint8)
    assert TensorSource("pixels", pixels).in_memory
    assert Groups(TensorSource("pixels", pixels), [range(2), range(2, 4)]).in_memory
    assert open_source("demo").in_memory
    assert not as_source(Stripes()).in_memory


def test_a_folder_names_its_images_and_their_groups(write, tmp_path):
    for thing in "ab":
        write(f"{thing}/0.png", seed=ord(thing)), write(f"{thing}/1.png", seed=1 + ord(thing))
    groups = open_items(str(tmp_path), "groups", "all")
    assert [groups.display_name(index) for index in range(2)] == ["a", "b"]
    assert groups.files.display_name(3) == "b/1.png"
    assert groups.files.path(3) == Path(tmp_path / "b/1.png")
    assert open_source("demo").path(0) is None


def test_the_example_in_the_documentation_runs():
    document = (Path(__file__).parents[2] / "docs/inputs.md").read_text(encoding="utf-8")
    names = {}
    exec(re.search(r"```python\n(.*?)```", document, re.DOTALL)[1], names)
    assert names["found"].table.shape[1] == 64
