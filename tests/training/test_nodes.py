"""Trainings that torchrun or srun start, with weights shared by the devices or not, and a job of SLURM that is queued
again."""

import csv
import os
import signal
import sys
from pathlib import Path

import pytest
import torch
from tests.processes import free_ports, run_command

from uota.errors import UotaError
from uota.runs.run import Run
from uota.settings.pretrain import Pretrain
from uota.training.pretrain import pretrain
from uota.training.sharding import check_sharding

SCRIPT = Path(__file__).parents[2] / "examples" / "slurm.sh"
# Starts as many processes as the job has tasks, and ends with the highest of their codes.
SRUN = """#!{python}
import os, subprocess, sys
tasks = map(str, range(int(os.environ["SLURM_NTASKS"])))
places = [{{"SLURM_STEP_ID": "0", "SLURM_PROCID": task, "SLURM_LOCALID": task}} for task in tasks]
tasks = [subprocess.Popen(sys.argv[1:], env=os.environ | place) for place in places]
sys.exit(max(task.wait() for task in tasks))
"""
# The command, of which the second task gets a signal in the middle of the fourth step, once.
UOTA = """#!{python}
import os, signal, sys
from uota.commands.cli import main
from uota.training.module import Pretraining

step = Pretraining.training_step

def signalled(self, views, index):
    if self.global_step == 3 and self.global_rank == 1 and not os.path.exists("{folder}/signalled"):
        open("{folder}/signalled", "w").close()
        signal.raise_signal(signal.SIGUSR1)
    return step(self, views, index)

Pretraining.training_step = signalled
sys.exit(main())
"""
SCONTROL = '#!/bin/sh\necho "$@" >> "{folder}/scontrol.log"\n'


@pytest.fixture
def cluster(tmp_path):
    """The environment of a job of SLURM of two tasks, whose commands are stand-ins."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("srun", SRUN), ("uota", UOTA), ("scontrol", SCONTROL)):
        file = folder / name
        file.write_text(text.format(python=sys.executable, folder=folder))
        file.chmod(0o755)
    job = {"SLURM_JOB_ID": "1234", "SLURM_JOB_NAME": "uota", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2"}
    job |= {"SLURM_NNODES": "1", "SLURM_NODEID": "0", "SLURM_NODELIST": "127.0.0.1", "MASTER_ADDR": "127.0.0.1"}
    job |= {"MASTER_PORT": str(free_ports(1)[0]), "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONWARNINGS": ""}
    return folder, os.environ | job


def flags(settings):
    values, default = settings.as_flat(), Pretrain().as_flat()
    return [f"--{name}={value}" for name, value in values.items() if value != default[name]]


def losses_of(folder):
    logs = sorted((folder / "logs").glob("*/metrics.csv"), key=lambda file: int(file.parent.name.split("_")[1]))
    rows = [row for log in logs for row in csv.DictReader(log.read_text().splitlines())]
    return [float(row["step_loss"]) for row in rows if row["step_loss"]]


def assert_same_weights(one, two, tolerance):
    one, two = (Run(folder).state()["state_dict"] for folder in (one, two))
    assert one.keys() == two.keys()
    for name, value in one.items():
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(two[name], value, atol=tolerance, rtol=tolerance, msg=f"{name}: {{}}".format)


def submit(cluster, run, settings):
    """Run the script of the job as SLURM does."""
    return run_command(["bash", str(SCRIPT), str(run), *flags(settings)], env=cluster[1])


def test_a_job_that_is_queued_again_goes_on_as_if_uninterrupted(small, cluster, tmp_path):
    """Two tasks that share the weights stop on SIGUSR1, and after that all is as without it."""
    folder, run = cluster[0], tmp_path / "run"
    settings = small(method="swav", arbiter="two_groups", epochs=2, checkpoint_every=10**6, strategy="fsdp2")
    stopped = submit(cluster, run, settings)
    assert stopped.returncode == 128 + signal.SIGUSR1, stopped.stderr
    assert "stopped at step 4; resume with: uota pretrain" in stopped.stderr
    assert (folder / "scontrol.log").read_text() == "requeue 1234\n"
    assert Run(run).steps_done() == 4
    done = submit(cluster, run, settings)
    assert done.returncode == 0, done.stderr
    assert (folder / "scontrol.log").read_text() == "requeue 1234\n"  # not again
    written = Run(run).settings().runtime
    assert (written.devices, written.nodes, written.strategy) == (2, 1, "fsdp2")
    assert submit(cluster, tmp_path / "whole", settings).returncode == 0
    assert losses_of(run) == pytest.approx(losses_of(tmp_path / "whole"), rel=1e-6)
    assert_same_weights(tmp_path / "whole", run, 1e-6)


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"precision": "64"}, "precision to 32"), ({"compile": True}, "leave compile out"),
     ({"precision": "fp16"}, "precision to 32 or bf16"), ({"accumulate": 2}, "accumulate to 1"),
     ({"checkpoint_activations": True}, "leave checkpoint_activations out"),
     ({"optimizer": "lars"}, "looks at whole tensors"), ({"kept_share": 0.5}, "kept_share to 0"),
     ({"method": "package.Own"}, "a method of your own"), ({"refile": True}, "copy of the encoder")],
)  # fmt: skip
def test_what_cannot_be_sharded_is_refused(small, changes, says):
    with pytest.raises(UotaError, match=f"fsdp2 does not go with this run: .*{says}.* set strategy to ddp"):
        check_sharding(small(**{"method": "swav", "devices": 2, "strategy": "fsdp2"} | changes))


def test_one_device_shares_nothing(small, tmp_path):
    with pytest.raises(UotaError, match="there is one device"):
        pretrain(small(strategy="fsdp2"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
