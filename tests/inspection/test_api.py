import csv
import re
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from PIL import Image
from sklearn.covariance import OAS
from torch import nn
from torch.utils.data import Dataset

import uota
from uota.errors import UotaError
from uota.inspection.command import inspect_and_write
from uota.views import PRESETS

QUICK = {"eyes": "thumbnails", "steps": 0, "most": 32}


class Pictures(Dataset):
    """A dataset like torchvision's ImageFolder: Pillow images with labels, `targets` and `classes`."""

    targets, classes = [0, 1] * 10, ["cat", "dog"]

    def __len__(self):
        return 20

    def __getitem__(self, index):
        pixels = np.random.default_rng(index).integers(0, 256, (40, 50, 3), dtype=np.uint8)
        return Image.fromarray(pixels), self.targets[index]


@pytest.mark.parametrize(
    "images",
    [torch.randint(0, 256, (20, 3, 40, 50), dtype=torch.uint8), torch.rand(20, 1, 40, 50), Pictures(),
     [np.zeros((40, 50), dtype=np.uint8)] * 20, "demo"],
    ids=["uint8", "floats", "dataset", "arrays", "name"],
)  # fmt: skip
def test_any_images_are_inspected_and_every_view_is_in_the_frame(images):
    found = uota.inspect(images, **QUICK)
    frame = found.to_frame()
    count = min(32, 20 if images != "demo" else 32)
    assert isinstance(frame, pandas.DataFrame)
    assert len(frame) == 6 * count
    assert frame["image"].nunique() == count
    for arbiter in ("chosen", "mahalanobis"):
        assert frame[f"weight_{arbiter}"].mean() == pytest.approx(1, abs=1e-5)
    if images != "demo":
        share = frame.crop_height * frame.crop_width / (40 * 50)
        np.testing.assert_allclose(frame.area, share)
    if isinstance(images, Pictures):
        assert (frame["class"] == np.array(["cat", "dog"])[frame.image.astype(int) % 2]).all()


def test_the_table_has_the_verdicts_of_the_arbiters():
    found = uota.inspect("demo", inject=0.3, **QUICK)
    frame, table = found.to_frame(), found.table
    by_view = frame[frame.view == 3]
    np.testing.assert_allclose(by_view.score_chosen, table.verdicts["chosen"].scores[3], rtol=1e-6)
    assert (by_view.image.astype(int) == table.item.numpy()).all()
    assert (by_view.shows.astype(int) == table.parameters.image[3].numpy()).all()
    assert (by_view.wrong == (by_view.shows != by_view.image)).all()
    z = table.embeddings.double().numpy()
    rows = (z - z.mean(0)).reshape(-1, z.shape[-1])
    inverse = np.linalg.inv(OAS(assume_centered=True).fit(rows).covariance_)
    distance = np.einsum("ni,ij,nj->n", rows, inverse, rows).reshape(6, -1).T.flatten()
    np.testing.assert_allclose(frame.distance, distance, rtol=3e-5)
    weights = frame.weight_mahalanobis * np.exp(frame.distance / table.tau)
    np.testing.assert_allclose(weights, weights.iloc[0], rtol=1e-6)


def test_the_seed_determines_images_and_views():
    one, same, other = (uota.inspect("demo", seed=seed, **QUICK).table for seed in (1, 1, 2))
    assert torch.equal(one.item, same.item)
    assert torch.equal(one.parameters.box, same.parameters.box)
    assert not torch.equal(one.item, other.item)


def test_views_may_be_a_custom_preset_with_changes():
    preset = PRESETS["small-grey"].with_local_views(1)
    found = uota.inspect("demo", views=preset, view_options={"local": {"scale": [0.2, 0.25]}}, **QUICK)
    area = found.to_frame().query("kind == 'local'").area
    assert found.table.shape == (3, 32)
    assert area.between(0.15, 0.3).all()


def test_an_inspection_is_displayed_and_saved(tmp_path):
    found = uota.inspect(Pictures(), **QUICK)
    assert re.match(r'<iframe [^>]*srcdoc="&lt;!doctype|<iframe [^>]*srcdoc="<!doctype', found._repr_html_())
    assert min(found.gallery(2).size) > 100
    found.save(tmp_path / "views.csv")
    rows = list(csv.DictReader((tmp_path / "views.csv").read_text().splitlines()))
    assert len(rows) == 120
    assert {row["class"] for row in rows} == {"cat", "dog"}
    found.save(tmp_path / "views.parquet")
    read = pandas.read_parquet(tmp_path / "views.parquet")
    pandas.testing.assert_frame_equal(read, found.to_frame(), check_dtype=False)
    assert float(rows[7]["distance"]) == pytest.approx(read.distance[7])


@pytest.mark.parametrize(
    ("images", "model", "says"),
    [([1, 2, 3, 4], None, "not a picture"), (object(), None, "images cannot be taken"),
     ("demo", 3, "neither a name nor a module"),
     (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), None, "at least 3"), ("demo", "nope", "there are no eyes nope")],
)  # fmt: skip
def test_unusable_images_and_models_are_refused(images, model, says):
    with pytest.raises(UotaError, match=says):
        uota.inspect(images, model, most=32)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"steps": -1}, "steps is -1"),
        ({"most": 0}, "images is 0"),
        ({"eyes": "nope"}, "no eyes nope; give auto, pretrained, thumbnails"),
        ({"backbone": "resnet18"}, "give that file as eyes"),
        ({"eyes": "resnet18", "backbone": "resnet18"}, "omit --backbone"),
        ({"eyes": "pretrained", "model": nn.Identity()}, "both a model and eyes"),
    ],
)
def test_unusable_or_contradictory_arguments_are_refused(arguments, says):
    with pytest.raises(UotaError, match=says):
        uota.inspect("demo", **{"most": 32, **arguments})


@pytest.mark.parametrize("value", [float("nan"), 200.0])
def test_floats_outside_the_pixel_range_are_refused(value):
    images = torch.rand(20, 3, 8, 8)
    images[7, 0, 0, 0] = value
    with pytest.raises(UotaError, match=r"picture 7: pixels are (NaN|floats from .* to 200, not in \[0, 1\])"):
        uota.inspect(images, **QUICK)


@pytest.mark.parametrize("grouped", [False, True])
def test_damaged_files_and_their_replacements_are_left_out(tmp_path, grouped):
    for number in range(32):
        place = tmp_path / f"{number // 4 if grouped else 0}" / f"{number}.png"
        place.parent.mkdir(exist_ok=True)
        Image.effect_noise((40, 40), 9.0 + number).convert("RGB").save(place)
    damaged = tmp_path / "0" / "2.png"
    damaged.write_bytes(damaged.read_bytes()[:1000])
    found = uota.inspect(tmp_path, views="small-groups" if grouped else "small", **QUICK)
    assert damaged in found.subject.source.skipped
    assert not found.to_frame().shows.str.endswith("0/2.png").any()
    assert found.table.shape[1] == (7 if grouped else 31)
    assert found.html().count("0/2.png") == 1  # among the pictures that cannot be read


def test_a_name_without_a_suffix_is_refused(tmp_path):
    with pytest.raises(UotaError, match="no suffix"):
        inspect_and_write([], tmp_path / "page", data="demo")
    with pytest.raises(UotaError, match="no suffix"):
        uota.inspect("demo", **QUICK).save(tmp_path / "page")
    assert not list(tmp_path.iterdir())


def test_the_repr_of_an_inspection_is_one_line():
    assert re.fullmatch(
        r"Inspection of demo: 6 views of 32 images, outlier rate 0\.\d+", repr(uota.inspect("demo", **QUICK))
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"table": "x.txt"}, "neither"),
        ({"images": 0}, "at least 1"),
        ({"eyes": "nope.pth"}, "no eyes nope.pth"),
    ],
)
def test_unusable_arguments_are_refused_before_the_work(tmp_path, arguments, says):
    with pytest.raises(UotaError, match=says):
        inspect_and_write([], tmp_path / "page.html", data="demo", **arguments)
    assert not (tmp_path / "page.html").exists()


def test_a_folder_of_images_is_inspected_and_several_must_be_runs(pictures, tmp_path):
    inspect_and_write([str(pictures)], tmp_path / "views.png", images=2, eyes="thumbnails", steps=0)
    assert (tmp_path / "views.png").exists()
    with pytest.raises(UotaError, match="no settings"):
        inspect_and_write([str(pictures), str(pictures)], tmp_path / "views.png")


def test_a_sample_of_a_large_folder_is_inspected_and_reported(pictures, capsys):
    found = uota.inspect(pictures, **QUICK | {"most": 40})
    said = capsys.readouterr().out
    assert f"40 of the {len(found.subject.source)} images" in said
    assert found.table.shape[1] == 40
    assert len(found.subject.source) > 60
    frame = found.to_frame()
    assert all(Path(name).is_relative_to(pictures) and Path(name).exists() for name in frame.image)
    assert (frame.image.str.split("/").str[-2] == frame["class"]).all()


def test_injected_views_do_not_show_their_own_item():
    found = uota.inspect("demo", inject=0.4, **QUICK)
    assert torch.equal(found.table.shows_own_item, ~found.table.wrong)
    assert 0.2 < found.table.wrong.float().mean() < 0.6
