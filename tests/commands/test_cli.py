import csv
import json
from importlib.resources import files

import pytest
import torch
import yaml
from PIL import Image

from uota.commands.cli import main
from uota.data import open_source
from uota.data.demo.embedded import open_demo
from uota.data.memory import TensorSource
from uota.encoders.encoder import SMALL_IMAGE
from uota.inspection.analysis.advice import Advice
from uota.methods import METHODS
from uota.runs.run import Run
from uota.settings.pretrain import Pretrain
from uota.training.resolve import resolve_auto
from uota.training.setup import build_module
from uota.views.presets import preset_of

PHOTOGRAPHS = TensorSource("ImageNet", torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.tensor([0, 999]))
FEWER = {"barlow_twins": {"hidden": 256, "dim": 256}}  # 8192 in the recipe would take seconds and a gigabyte
RECIPES = sorted(path for path in (files("uota") / "recipes").iterdir() if path.name.endswith(".yaml"))


@pytest.fixture(scope="module")
def garments(tmp_path_factory):
    """A folder of a few of the demo's images, in its two splits and ten classes."""
    folder = tmp_path_factory.mktemp("garments")
    for split, count in (("train", 400), ("test", 200)):
        demo = open_demo(split)
        for number, (image, label) in enumerate(zip(demo.pixels[:count], demo.labels[:count], strict=True)):
            place = folder / split / f"class{label}"
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[0].numpy()).save(place / f"{number}.png")
    return folder


def test_a_run_is_trained_evaluated_and_inspected(garments, tmp_path, capsys):
    run, picture = tmp_path / "run", tmp_path / "views.png"
    flags = [f"--data={garments}", "--local_views=1", "--epochs=1", "--batch_size=100", "--accelerator=cpu"]
    flags += ["--threads=1", "--workers=0", f"--out={run}"]
    assert main(["pretrain", *flags]) == 0
    assert main(["pretrain", *flags]) == 2
    assert "--overwrite" in capsys.readouterr().err
    for protocol in ("linear", "knn"):
        assert main(["evaluate", protocol, str(run)]) == 0
        written = json.loads((run / f"{protocol}.json").read_text())
        assert 20 < written["top1"] < written["top5"] <= 100
    assert main(["inspect", str(run), f"--out={picture}", "--images=3", "--inject=0.2"]) == 0
    with Image.open(picture) as image:
        assert min(image.size) > 100


def test_a_folder_is_inspected_and_its_advice_is_taken_by_pretrain(pictures, tmp_path, capsys):
    page, table, milder = (tmp_path / name for name in ("page.html", "views.csv", "milder.yaml"))
    flags = [f"--out={page}", f"--table={table}", "--images=4", "--inject=0.1", "--eyes=thumbnails", "--steps=0"]
    assert main(["inspect", str(pictures), *flags, "--view_options={local: {scale: [0.05, 0.2]}}"]) == 0
    assert f"written: {page}" in capsys.readouterr().out
    assert "<!doctype html>" in page.read_text()
    area = [float(row["area"]) for row in csv.DictReader(table.read_text().splitlines()) if row["kind"] == "local"]
    assert max(area) < 0.22
    settings = {"views": "small", "view_options": {"local": {"scale": [0.2, 0.3], "grey_probability": 0.1}}}
    milder.write_text(Advice([], settings).yaml)
    flags = ["--epochs=1", "--accelerator=cpu", "--threads=1", "--workers=0", f"--out={tmp_path / 'run'}"]
    assert main(["pretrain", f"--config={milder}", f"--data={pictures}", *flags]) == 0
    preset = preset_of(Run(tmp_path / "run").settings())
    assert (preset.sizes[1].scale, preset.sizes[1].grey_probability) == ((0.2, 0.3), 0.1)
    assert preset.sizes[0].scale == (0.3, 1.0)


def test_a_folder_is_inspected_without_a_run(tmp_path, capsys):
    for number in range(8):
        Image.new("RGB", (40, 40), (30 * number, 255 - 30 * number, 0)).save(tmp_path / f"{number}.png")
    picture = tmp_path / "out" / "views.png"
    assert (
        main(["inspect", f"--data={tmp_path}", "--views=small", f"--out={picture}", "--eyes=thumbnails", "--images=2"])
        == 0
    )
    assert picture.exists()
    assert "estimated share of outlier views" in capsys.readouterr().out
    named = tmp_path / "demo.csv"
    assert (
        main(
            ["inspect", "demo", f"--out={picture}", f"--table={named}", "--eyes=thumbnails", "--steps=0", "--images=2"]
        )
        == 0
    )
    assert len(named.read_text().splitlines()) > 100


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["evaluate", "knn", "nowhere"], "not the folder of a run"), (["inspect", "--data=nowhere"], "nowhere"),
     (["inspect", "nowhere"], "there is no folder nowhere"), (["inspect", "a", "b"], "not the folder of a run"),
     (["pretrain", "--data=nowhere", "--out=x"], "nowhere"), (["pretrain", "--method=nope", "--out=x"], "simclr"),
     (["pretrain", "--arbiter=learned", "--tau=3", "--out=x"], "mahalanobis only")],
)  # fmt: skip
def test_mistakes_end_in_a_sentence_and_code_2(arguments, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    errors = capsys.readouterr().err
    assert says in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_recipes_load_and_build(recipe):
    settings = Pretrain.from_flat(**yaml.safe_load(recipe.read_text()))
    settings = resolve_auto(settings, PHOTOGRAPHS if "imagenet" in recipe.name else open_source(settings.data.source))
    settings = settings.replace_flat(method_options=settings.method.options | FEWER.get(settings.method.name, {}))
    module = build_module(settings, total_steps=10)
    assert recipe.name.startswith(settings.method.name)
    sizes = [group.size for group in preset_of(settings).sizes]
    assert (max(sizes) > SMALL_IMAGE) == ("imagenet" in recipe.name)
    assert settings.arbitration.weighted_side == (
        "predictor" if settings.arbitration.arbiter == "mahalanobis" else "both"
    )
    assert isinstance(module.method.dim, int)


def test_every_method_has_its_recipes():
    names = {path.name.removesuffix(".yaml") for path in RECIPES}
    for method in set(METHODS) - {"random"}:
        assert {f"{method}_imagenet", f"{method}_demo"} <= names


def test_a_recipe_is_taken_by_its_name(garments, tmp_path, capsys):
    flags = ["--epochs=1", "--accelerator=cpu", "--threads=1", "--workers=0", f"--out={tmp_path / 'run'}"]
    assert main(["pretrain", "--config", "simsiam_demo", f"--data={garments}", "--views=small", *flags]) == 0
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["method"]["name"] == "simsiam"
    assert main(["pretrain", "--config=nope", *flags]) == 2
    assert "swav_imagenet" in capsys.readouterr().err


def test_the_table_of_methods_names_them_all(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["methods"]) == 0
    table = capsys.readouterr().out
    for name, card in METHODS.items():
        assert name in table
        assert card.title in table


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    """Thirty things of two kinds, patterns of 3×3 colours, in five lights each; one image of the last lies in the
    folder of the first."""
    folder, random = tmp_path_factory.mktemp("things"), torch.Generator().manual_seed(0)
    for thing in range(30):
        place = folder / f"kind{thing % 2}" / f"{thing:02}"
        place.mkdir(parents=True)
        pattern = torch.rand(3, 3, 3, generator=random)
        for light in range(5):
            pixels = (255 * pattern * (0.6 + 0.1 * light)).to(torch.uint8).repeat_interleave(11, 0)
            Image.fromarray(pixels.repeat_interleave(11, 1).numpy()).save(place / f"{light}.png")
    (folder / "kind1/29/0.png").rename(folder / "kind0/00/strange.png")
    (folder / "kind0/alone").mkdir()
    Image.new("RGB", (33, 33)).save(folder / "kind0/alone/0.png")
    return folder


@pytest.mark.parametrize("arbiter", ["learned", "mahalanobis", "none"])
def test_a_run_on_groups_is_trained_evaluated_and_inspected(things, tmp_path, capsys, arbiter):
    run, picture = tmp_path / "run", tmp_path / "views.png"
    flags = f"--arbiter={arbiter} --epochs=2 --batch_size=12 --accelerator=cpu --threads=1 --workers=0"
    assert main(["pretrain", f"--data={things}", "--views=groups", f"--out={run}", *flags.split()]) == 0
    assert "left out: kind0/alone/0.png" in capsys.readouterr().out
    settings = json.loads((run / "settings.json").read_text())
    assert (settings["views"]["preset"], settings["method"]["backbone"]) == ("small-groups", "tiny")
    assert main(["evaluate", "knn", str(run)]) == 0
    assert json.loads((run / "knn.json").read_text())["top1"] >= 0
    assert main(["inspect", str(run), f"--out={picture}", "--images=2"]) == 0
    assert picture.exists()
    assert f"which files are in the wrong folder: uota misfiled {things}\n" in capsys.readouterr().out


def test_files_are_listed_by_another_command(things, tmp_path, capsys):
    assert main(["inspect", str(things), "--views=groups", f"--files={tmp_path / 'files.csv'}"]) == 2
    assert "--files is gone: use uota misfiled FOLDER --table FILE" in capsys.readouterr().err


def test_an_arbiter_that_cannot_tell_is_doubted(tmp_path, capsys):
    for thing in range(12):
        (tmp_path / "noise" / str(thing)).mkdir(parents=True)
        for number in range(4):
            noise = torch.randint(0, 256, (33, 33, 3), generator=torch.Generator().manual_seed(4 * thing + number))
            Image.fromarray(noise.to(torch.uint8).numpy()).save(tmp_path / "noise" / str(thing) / f"{number}.png")
    flags = [f"--data={tmp_path / 'noise'}", "--views=groups", "--eyes=thumbnails", "--steps=0"]
    assert main(["inspect", *flags, f"--out={tmp_path / 'views.png'}"]) == 0
    assert "choose other --eyes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "says"),
    [("--data=demo", "has no groups"), ("--method=cpc_v2", "needs views of its own, not 'groups'"),
     ("--method=cpc_v2 --views=small-groups", "small-cpc")],
)  # fmt: skip
def test_groups_that_cannot_be_trained_on_are_refused(things, tmp_path, capsys, flags, says):
    arguments = [f"--data={things}", "--views=groups", *flags.split(), f"--out={tmp_path / 'run'}"]
    assert main(["pretrain", *arguments]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
