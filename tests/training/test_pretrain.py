import csv
import json
import os
import resource
import shutil
import signal
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from tests.processes import free_ports, run_command, started, wait_until

from uota.commands.cli import main
from uota.errors import UotaError
from uota.runs.run import Run, load_part
from uota.settings.pretrain import Pretrain
from uota.training.module import Pretraining
from uota.training.pretrain import pretrain


def flags(out, settings, *more):
    """Arguments of the command line for a run with these settings."""
    values = {key: value for key, value in settings.as_flat().items() if value is not None and key != "method_options"}
    arguments = [f"--{key}={json.dumps(value) if isinstance(value, bool) else value}" for key, value in values.items()]
    return ["pretrain", f"--out={out}", *arguments, *more]


def command(out, settings, *more):
    return [sys.executable, "-m", "uota", *flags(out, settings, *more)]


def rows(log):
    return list(csv.DictReader(log.read_text().splitlines()))


def weights(run):
    return Run(run).state()["state_dict"]


def assert_same(one, other):
    assert one.keys() == other.keys()
    for key, value in one.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, other[key]), key


@pytest.mark.parametrize("method", ["swav", "simclr"])
@pytest.mark.parametrize("arbiter", ["learned", "two_groups", "mahalanobis", "none"])
def test_every_arbiter_trains_every_method(small, tmp_path, method, arbiter):
    run = pretrain(small(method=method, arbiter=arbiter, inject=0.3), tmp_path / "run", bar=False)
    assert all(bool(torch.isfinite(value).all()) for value in weights(run.folder).values() if torch.is_tensor(value))
    (log,) = (tmp_path / "run" / "logs").glob("*/metrics.csv")
    row = rows(log)[-1]
    assert {"loss", "rankme", "accuracy", "images_per_second", "weight_global", "weight_local"} <= row.keys()
    assert float(row["true_outlier_rate"]) == pytest.approx(0.3, abs=0.1)
    assert ("auroc" in row) == (arbiter != "none")


def test_killed_and_resumed_equals_uninterrupted(small, tmp_path):
    settings = small(epochs=4, batch_size=8, checkpoint_every=4)
    whole = pretrain(settings, tmp_path / "whole", bar=False, lines=False)
    with started(command(tmp_path / "killed", settings)) as process:
        wait_until(Run(tmp_path / "killed").checkpoint.exists, process)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert Run(tmp_path / "killed").state()["global_step"] < 36
    assert main(flags(tmp_path / "killed", settings, "--resume")) == 0
    assert_same(weights(tmp_path / "killed"), weights(whole.folder))


def test_steps_that_end_within_a_pass_are_resumed_as_if_uninterrupted(small, tmp_path, monkeypatch):
    """The 76 training pictures are passes of three steps; the run stops in the second and ends in the fourth."""
    settings = small(epochs=None, steps=10, warmup_steps=None, rate_per="epoch")
    whole = pretrain(settings, tmp_path / "whole", bar=False, lines=False)
    step = Pretraining.training_step

    def interrupted(self, views, batch_index):
        if self.global_step == 4:
            signal.raise_signal(signal.SIGINT)
        return step(self, views, batch_index)

    monkeypatch.setattr(Pretraining, "training_step", interrupted)
    with pytest.raises(UotaError, match="--resume"):
        pretrain(settings, tmp_path / "parts", bar=False, lines=False)
    monkeypatch.undo()
    parts = Run(tmp_path / "parts")
    assert parts.steps_done() == 5
    for _ in range(2):  # the second time, nothing is left to train
        pretrain(parts.settings(), parts.folder, resume=True, bar=False, lines=False)
        assert (parts.steps_done(), parts.epochs_done()) == (whole.steps_done(), whole.epochs_done()) == (10, 4)
        assert_same(weights(parts.folder), weights(whole.folder))


def test_a_finished_run_can_be_made_longer(small, tmp_path):
    """What the settings file of a run is changed to, as for more steps, is what it is resumed to."""
    run = pretrain(small(epochs=None, steps=4, warmup_steps=2), tmp_path / "run", bar=False, lines=False)
    run.settings_file.write_text(run.settings_file.read_text().replace('"steps": 4', '"steps": 8'))
    pretrain(run.settings(), run.folder, resume=True, bar=False, lines=False)
    assert run.steps_done() == 8


def test_steps_as_many_as_epochs_train_the_same(small, tmp_path):
    by_epochs = pretrain(small(epochs=2), tmp_path / "epochs", bar=False, lines=False)
    by_steps = pretrain(small(epochs=None, steps=6), tmp_path / "steps", bar=False, lines=False)
    assert_same(weights(by_steps.folder), weights(by_epochs.folder))


def test_ctrl_c_leaves_a_resumable_run(small, tmp_path):
    settings = small(epochs=4, batch_size=8, checkpoint_every=1000)
    with started(command(tmp_path / "run", settings)) as process:
        wait_until(lambda: list(tmp_path.glob("run/logs/*/metrics.csv")), process)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "--resume" in errors
    assert main(flags(tmp_path / "run", settings, "--resume")) == 0
    assert Run(tmp_path / "run").state()["global_step"] == 36


def test_a_signal_to_one_of_two_processes_stops_both_at_one_step(small, tmp_path):
    settings = small(epochs=10_000, checkpoint_every=10**6, devices=2)
    with started(command(tmp_path / "run", settings)) as process:
        wait_until(lambda: list(tmp_path.glob("run/logs/*/metrics.csv")), process)
        os.kill(process_of_rank_1(process.pid), signal.SIGTERM)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 143, errors
    step = Run(tmp_path / "run").state()["global_step"]
    assert f"stopped at step {step}; resume with: uota pretrain" in errors


def process_of_rank_1(parent):
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    (rank_1,) = [int(each) for each in children if b"LOCAL_RANK=1" in Path(f"/proc/{each}/environ").read_bytes()]
    return rank_1


def step_losses(out):
    (log,) = (out / "logs").glob("*/metrics.csv")
    return [float(row["step_loss"]) for row in rows(log) if row["step_loss"]][:10]


@pytest.mark.parametrize(
    ("method", "arbiter", "candidates", "launcher"), [("simclr", "learned", 1, "uota"), ("swav", "none", 2, "torchrun")]
)
def test_two_processes_equal_one(small, tmp_path, method, arbiter, candidates, launcher):
    """Two processes equal this one, started by the command line or torchrun (test_ranks: all methods and arbiters).

    In 32 bits, torch's batch norm in one process and the synchronised one in two round differently, which training
    amplifies, hence 64 bits. AdamW's first steps are signs of gradients, so rounding errors of a zero gradient would
    make full steps, hence SGD.
    """
    same = {"method": method, "arbiter": arbiter, "candidates": candidates, "start": 0.1, "precision": "64"}
    same |= {"epochs": 4, "optimizer": "sgd", "learning_rate": 0.05}
    pretrain(small(**same), tmp_path / "one", bar=False, lines=False)
    environment = os.environ | {"PYTHONWARNINGS": ""}
    if launcher == "uota":
        done = run_command(command(tmp_path / "two", small(devices=2, **same)), env=environment)
    else:
        port = f"--master-port={free_ports(1)[0]}"
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", port, "-m", "uota"]
        given = flags(tmp_path / "two", small(**same))
        given = [each.replace("--start", "--arbitration.start") for each in given]  # torchrun takes --start for its own
        done = run_command([*torchrun, *given], env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the run is in") == 1
    assert Run(tmp_path / "two").settings().runtime.devices == 2
    one, two = (step_losses(tmp_path / name) for name in ("one", "two"))
    assert len(one) == 10
    assert two == pytest.approx(one, abs=1e-6)


def test_two_processes_that_embed_in_parts_equal_one(small, tmp_path):
    """Without batch statistics, which depend on the other images of a part."""
    same = {"method": "moco_v2", "arbiter": "learned", "precision": "64", "frozen_norms": True}
    same |= {"optimizer": "sgd", "learning_rate": 0.05, "epochs": 2}
    pretrain(small(**same), tmp_path / "one", bar=False, lines=False)
    environment = os.environ | {"PYTHONWARNINGS": ""}
    done = run_command(command(tmp_path / "two", small(devices=2, accumulate=2, **same)), env=environment)
    assert done.returncode == 0, done.stderr
    one, two = (step_losses(tmp_path / name) for name in ("one", "two"))
    assert len(one) == 6
    assert two == pytest.approx(one, abs=1e-6)


def test_bf16_trains(small, tmp_path):
    run = pretrain(small(precision="bf16"), tmp_path / "run", bar=False)
    assert all(bool(torch.isfinite(value).all()) for value in weights(run.folder).values() if torch.is_tensor(value))


def test_a_folder_with_other_files_is_refused(small, tmp_path):
    (tmp_path / "precious.txt").write_text("do not touch")
    with pytest.raises(UotaError, match="--overwrite"):
        pretrain(small(), tmp_path)
    assert (tmp_path / "precious.txt").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"method": "nope"}, "swav"), ({"views": "nope"}, "scenes"), ({"backbone": "nope"}, "timm"),
     ({"method_options": {"colour": 3}}, "prototypes"), ({"data": "/no/such/folder"}, "folder"),
     ({"views": "scenes"}, "--views"), ({"method": "cpc_v2"}, "small-cpc"),
     ({"method": "cpc_v2", "views": "small-cpc", "local_views": None, "candidates": 2}, "candidates to 1"),
     ({"method": "cmc", "data": "demo", "views": "scenes"}, "grey"),
     ({"method": "simsiam", "batch_size": 1}, "at least 2 images a device")],
)  # fmt: skip
def test_mistakes_are_reported_before_anything_is_written(small, tmp_path, changes, message):
    with pytest.raises(UotaError, match=message):
        pretrain(small(**changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_of_an_older_version_is_not_resumed(small, tmp_path):
    """Its optimiser and batch norm differed from the current ones."""
    run = pretrain(small(), tmp_path / "run", bar=False, lines=False)
    written = run.settings().as_flat()
    del written["sync_batch_norm"], written["rate_per"], written["bias_rate"]
    run.settings_file.write_text(json.dumps(written))
    with pytest.raises(UotaError, match=r"older version.*--overwrite"):
        pretrain(run.settings(), run.folder, resume=True, bar=False)
    load_part(torch.nn.ModuleDict(), run, "no.such.part")  # parts that fit are loaded
    with pytest.raises(UotaError, match=r"older version .* evaluate or export its encoder"):
        load_part(torch.nn.Linear(1, 1), run, "method.encoder")


@pytest.mark.parametrize("arbiter", ["learned", "two_groups", "none"])
def test_divergence_is_reported(small, tmp_path, arbiter):
    with pytest.raises(UotaError, match="lower learning_rate"):
        pretrain(small(arbiter=arbiter, optimizer="sgd", learning_rate=1e30, epochs=3), tmp_path / "run", bar=False)


@contextmanager
def files_of_at_most(size):
    """Let every write beyond this size fail, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_reported_and_leaves_the_last_checkpoint(small, tmp_path, capsys):
    settings = small(epochs=2, checkpoint_every=1000)
    run = pretrain(settings, tmp_path / "run", bar=False)
    before = run.checkpoint.read_bytes()
    longer = tmp_path / "run" / "settings.json"
    longer.write_text(longer.read_text().replace('"epochs": 2', '"epochs": 4'))
    with files_of_at_most(len(before) // 2):
        assert main(flags(run.folder, settings, "--resume")) == 2
    errors = capsys.readouterr().err
    assert "make room" in errors
    assert "Traceback" not in errors
    assert run.checkpoint.read_bytes() == before


def test_a_checkpoint_of_another_shape_is_refused(small, tmp_path):
    wide = pretrain(small(method_options={"hidden": 32}), tmp_path / "wide", bar=False)
    run = pretrain(small(), tmp_path / "run", bar=False)
    run.checkpoint.write_bytes(wide.checkpoint.read_bytes())
    with pytest.raises(UotaError, match="copied from another run"):
        pretrain(small(), run.folder, resume=True)


@pytest.mark.parametrize(
    ("text", "says"),
    [("{", "cannot be read"), ("[1]", "holds no settings"), ('{"epochs": "many"}', "epochs is many; it must be"),
     ('{"colour": 1}', "there is no setting colour"), ("\udcff", "cannot be read")],
)  # fmt: skip
def test_broken_settings_are_named(tmp_path, text, says):
    Run(tmp_path).settings_file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UotaError, match=rf"settings\.json.*{says}"):
        Run(tmp_path).settings()


def test_unreadable_pictures_are_named_at_the_end(small, pictures, tmp_path, capsys):
    folder = tmp_path / "pictures"
    shutil.copytree(pictures, folder)
    (folder / "class0" / "broken.png").write_bytes((folder / "class0" / "000.png").read_bytes()[:90])
    pretrain(small(data=str(folder)), tmp_path / "run", bar=False)
    assert "broken.png" in capsys.readouterr().out


def test_contradictory_settings_are_refused():
    with pytest.raises(UotaError, match=r"epochs and steps are both set; give one"):
        Pretrain.from_flat(epochs=3, steps=100)
    with pytest.raises(UotaError, match="tau and ess"):
        Pretrain.from_flat(arbiter="mahalanobis", tau=1.0, ess=0.5)
    with pytest.raises(UotaError, match="mahalanobis only"):
        Pretrain.from_flat(arbiter="learned", tau=1.0)
    with pytest.raises(UotaError, match="no multiple of devices"):
        Pretrain.from_flat(batch_size=3, devices=2)
    with pytest.raises(UotaError, match="the arbiter is none, which looks at nothing"):
        Pretrain.from_flat(arbiter="none", eyes="features")
