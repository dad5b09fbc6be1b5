import json
from importlib.resources import files

import pytest
import torch
import yaml
from PIL import Image

from uota.cli import main
from uota.config import Pretrain
from uota.data.source import InMemory
from uota.training.build import build_module, decide, preset_of

PHOTOGRAPHS = InMemory("ImageNet", torch.zeros(2, 3, 8, 8, dtype=torch.uint8))
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
    settings = decide(Pretrain(**yaml.safe_load(recipe.read_text())), PHOTOGRAPHS)
    module = build_module(settings, total_steps=10)
    assert [group.size for group in preset_of(settings).groups] == [224, 96]
    assert module.method.prototypes.shape == (3000, 128)
    assert settings.weigh == ("both" if settings.arbiter == "learned" else "predictor")
