import csv
import json
import os
import shutil
import signal
import sys

import pytest
import torch
from safetensors.torch import save_file
from tests.processes import run_command

from uota.arbitration import CohortScore, Contrast
from uota.commands.cli import main
from uota.data.memory import TensorSource
from uota.data.open import open_items
from uota.encoders.encoder import Encoder
from uota.errors import UotaError
from uota.inspection.arbiters import build_arbiters
from uota.inspection.input import open_input
from uota.runs.run import Run
from uota.training.module import Pretraining
from uota.training.pretrain import pretrain
from uota.training.resolve import resolve_auto
from uota.training.setup import build_module, load_module
from uota.training.trial import fit_eyes
from uota.views import ViewPipeline
from uota.views.presets import preset_of


@pytest.fixture(scope="module")
def eyes(tmp_path_factory):
    """A file of weights of a small network, which is quick to look through."""
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("eyes") / "tiny.safetensors"
    save_file(Encoder("tiny", 3, 32).backbone.state_dict(), file)
    return str(file)


@pytest.fixture
def quick(monkeypatch):
    """A trial on few images, and heads of few steps."""
    monkeypatch.setattr("uota.training.trial.IMAGES", 24)
    monkeypatch.setattr("uota.training.trial.STEPS", (2,))


def weights(run):
    return {name: value for name, value in run.state()["state_dict"].items() if torch.is_tensor(value)}


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def test_a_run_writes_what_it_chose_and_is_used_with_it(small, eyes, quick, tmp_path, capsys):
    run = pretrain(small(eyes=eyes, epochs=2), tmp_path / "run", bar=False)
    settings, written = run.settings(), json.loads(run.arbiter_file.read_text())
    assert (settings.arbitration.arbiter, settings.arbitration.eyes) == ("chosen", eyes)
    assert max(written["found"], key=written["found"].get) == written["name"]
    assert f"arbiter: {written['name']}; it finds exchanged views" in capsys.readouterr().out
    assert not any("frozen" in name for name in weights(run))
    module = load_module(run, settings)
    assert type(module.arbiter.score) is (CohortScore if written["temperature"] is None else Contrast)
    assert main(["embed", str(run.folder), "--out", str(tmp_path / "table.csv")]) == 0
    with (tmp_path / "table.csv").open() as table:
        assert all(row["outlier_probability"] for row in csv.DictReader(table))


def test_an_inspection_scores_by_the_arbiter_of_the_run_with_its_eyes(small, eyes, quick, tmp_path):
    run = pretrain(small(eyes=eyes), tmp_path / "run", bar=False, lines=False)
    subject = open_input(None, run, "auto", {}, inject=0.0, seed=0)
    found = build_arbiters(subject, compare=False)
    module, views = load_module(run, run.settings()), subject.readable_views(subject.batches(8)[0].samples)
    judge = found.judges[found.primary]
    assert next(iter(found.judges)) == found.primary
    assert judge.score == module.arbiter.score
    assert judge.embed(judge.extract(views), 0).equal(module.eyes(views.by_size))


def test_the_first_step_weighs_by_the_chosen_arbiter(small, eyes, quick):
    settings = resolve_auto(small(eyes=eyes), source := open_items(small().data.source, "small"))
    module, pipeline = build_module(settings, total_steps=2), ViewPipeline(preset_of(settings))
    module.take_choice(*fit_eyes(module.eyes.frozen, settings, source, pipeline))
    views = pipeline(source, [(0, index) for index in range(16)])
    step = module.training_step(views, 0)
    expected = module.arbiter.eval()(module.eyes(views.by_size), 0.0)
    assert step["verdict"].scores.equal(expected.scores)
    assert step["loss"].requires_grad
    assert not step["weights"].requires_grad


@pytest.mark.parametrize("arbiter", ["cohort", "learned", "two_groups", "mahalanobis"])
def test_an_arbiter_that_is_given_has_no_trial(small, eyes, quick, tmp_path, monkeypatch, arbiter):
    monkeypatch.setattr("uota.training.trial.select_in_two_stages", lambda *given: pytest.fail("a trial"))
    run = pretrain(small(eyes=eyes, arbiter=arbiter), tmp_path / "run", bar=False, lines=False)
    assert json.loads(run.arbiter_file.read_text())["found"] == {}
    assert load_module(run, run.settings()).arbiter is not None


def test_a_resumed_run_equals_an_uninterrupted_one_without_another_trial(small, eyes, quick, tmp_path, monkeypatch):
    settings = small(eyes=eyes, epochs=3)
    whole = pretrain(settings, tmp_path / "whole", bar=False, lines=False)
    step = Pretraining.training_step

    def interrupted(self, views, batch_index):
        if self.global_step == 4:
            signal.raise_signal(signal.SIGINT)
        return step(self, views, batch_index)

    with monkeypatch.context() as patch:
        patch.setattr(Pretraining, "training_step", interrupted)
        with pytest.raises(UotaError, match="--resume"):
            pretrain(settings, tmp_path / "parts", bar=False, lines=False)
    monkeypatch.setattr("uota.training.trial.fit_eyes", lambda *given: pytest.fail("another trial"))
    parts = pretrain(settings, tmp_path / "parts", resume=True, bar=False, lines=False)
    assert_same(weights(parts), weights(whole))
    assert parts.arbiter_file.read_text() == whole.arbiter_file.read_text()


def test_two_processes_learn_what_one_learns(small, eyes, tmp_path):
    same = {"eyes": eyes, "method": "simclr", "precision": "64", "optimizer": "sgd", "learning_rate": 0.05}
    same |= {"epochs": None, "steps": 2, "batch_size": 12}
    one = pretrain(small(**same), tmp_path / "one", bar=False, lines=False)
    flags = [f"--{name}={value}" for name, value in small(**same, devices=2).as_flat().items()
             if value not in (None, {}, []) and name != "compile"]  # fmt: skip
    command = [sys.executable, "-m", "uota", "pretrain", f"--out={tmp_path / 'two'}", *flags]
    done = run_command(command, env=os.environ | {"PYTHONWARNINGS": ""})
    assert done.returncode == 0, done.stderr
    two = Run(tmp_path / "two")
    assert two.arbiter_file.read_text() == one.arbiter_file.read_text()
    expected = weights(one)
    for name, value in weights(two).items():
        torch.testing.assert_close(value, expected[name], atol=1e-5, rtol=1e-5, msg=name)


def test_eyes_that_are_gone_are_needed_to_inspect_and_not_to_evaluate(small, eyes, quick, tmp_path, capsys):
    copy = shutil.copy(eyes, tmp_path / "eyes.safetensors")
    run = pretrain(small(eyes=str(copy)), tmp_path / "run", bar=False, lines=False)
    os.remove(copy)
    assert main(["evaluate", "knn", str(run.folder)]) == 0
    assert main(["export", str(run.folder), "--to=safetensors", "--out", str(tmp_path / "weights.safetensors")]) == 0
    assert main(["embed", str(run.folder), "--out", str(tmp_path / "table.csv")]) == 2
    assert "eyes.safetensors" in capsys.readouterr().err
    run.arbiter_file.unlink()
    with pytest.raises(UotaError, match="says what the run's arbiter is"):
        load_module(run, run.settings())


def test_too_few_images_for_a_trial_are_seen_by_the_first_candidate(small, eyes):
    source = TensorSource("few", torch.randint(0, 256, (5, 3, 40, 40), dtype=torch.uint8))
    settings = resolve_auto(small(eyes=eyes), source)
    module = build_module(settings, total_steps=2)
    choice, state = fit_eyes(module.eyes.frozen, settings, source, ViewPipeline(preset_of(settings)))
    assert (choice.parts, choice.head_steps, choice.found) == (["last", "before"], 0, {})
    assert state.keys() == {"mean_0", "mean_1"}
