import json
from dataclasses import replace
from importlib.resources import files

import pytest
import torch
import yaml
from PIL import Image

from uota.cli import main
from uota.config import Pretrain
from uota.data import open_source
from uota.data.source import InMemory
from uota.methods import METHODS
from uota.nn.encoder import SMALL_IMAGE
from uota.training.build import build_module, decide, preset_of

PHOTOGRAPHS = InMemory("ImageNet", torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.tensor([0, 999]))
FEWER = {"barlow_twins": {"hidden": 256, "dim": 256}}  # 8192 in the recipe would take seconds and a gigabyte
RECIPES = sorted(path for path in (files("uota") / "recipes").iterdir() if path.name.endswith(".yaml"))


def test_a_run_is_trained_evaluated_and_inspected(tmp_path, capsys):
    run, picture = tmp_path / "run", tmp_path / "views.png"
    flags = "--data=demo --views=small-grey --local_views=1 --epochs=1 --batch_size=2000 --accelerator=cpu --threads=1"
    assert main(["pretrain", f"--out={run}", *flags.split()]) == 0
    assert main(["pretrain", f"--out={run}", *flags.split()]) == 2
    assert "--overwrite" in capsys.readouterr().err
    for protocol in ("linear", "knn"):
        assert main(["evaluate", protocol, str(run)]) == 0
        written = json.loads((run / f"{protocol}.json").read_text())
        assert 20 < written["top1"] < written["top5"] <= 100
    assert main(["inspect", str(run), f"--out={picture}", "--images=3", "--inject=0.2"]) == 0
    with Image.open(picture) as image:
        assert min(image.size) > 100


def test_a_folder_is_inspected_without_a_run(tmp_path, capsys):
    for number in range(8):
        Image.new("RGB", (40, 40), (30 * number, 255 - 30 * number, 0)).save(tmp_path / f"{number}.png")
    picture = tmp_path / "out" / "views.png"
    assert (
        main(["inspect", f"--data={tmp_path}", "--views=small", f"--out={picture}", "--seconds=1", "--images=2"]) == 0
    )
    assert picture.exists()
    assert "estimated share of outlier views" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["evaluate", "knn", "nowhere"], "not the folder of a run"), (["inspect", "--data=nowhere"], "nowhere"),
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
    settings = Pretrain(**yaml.safe_load(recipe.read_text()))
    settings = decide(settings, PHOTOGRAPHS if "imagenet" in recipe.name else open_source(settings.data))
    settings = replace(settings, method_options=settings.method_options | FEWER.get(settings.method, {}))
    module = build_module(settings, total_steps=10)
    assert recipe.name.startswith(settings.method)
    sizes = [group.size for group in preset_of(settings).groups]
    assert (max(sizes) > SMALL_IMAGE) == ("imagenet" in recipe.name)
    assert settings.weigh == ("predictor" if settings.arbiter == "mahalanobis" else "both")
    assert isinstance(module.method.dim, int)


def test_every_method_has_its_recipes():
    names = {path.name.removesuffix(".yaml") for path in RECIPES}
    for method in set(METHODS) - {"random"}:
        assert {f"{method}_imagenet", f"{method}_demo"} <= names


def test_a_recipe_is_taken_by_its_name(tmp_path, capsys):
    flags = ["--epochs=1", "--batch_size=2000", "--accelerator=cpu", "--threads=1", f"--out={tmp_path / 'run'}"]
    assert main(["pretrain", "--config", "simsiam_demo", "--data=demo", "--local_views=0", *flags]) == 0
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["method"] == "simsiam"
    assert main(["pretrain", "--config=nope", *flags]) == 2
    assert "swav_imagenet" in capsys.readouterr().err


def test_the_table_of_methods_names_them_all(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["methods"]) == 0
    table = capsys.readouterr().out
    for name, card in METHODS.items():
        assert name in table
        assert card.title in table
