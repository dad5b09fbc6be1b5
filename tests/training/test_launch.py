"""How many processes there are, by what started them."""

import pytest
from pytorch_lightning.plugins.environments import LightningEnvironment

from uota.errors import UotaError
from uota.training.launch import resolve_devices, slurm_plugins

TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "LOCAL_WORLD_SIZE": "4", "WORLD_SIZE": "8", "RANK": "5", "LOCAL_RANK": "1"}
SRUN = {"SLURM_NTASKS": "8", "SLURM_NTASKS_PER_NODE": "4", "SLURM_NNODES": "2", "SLURM_PROCID": "5"}
SRUN |= {"SLURM_JOB_ID": "1234", "SLURM_JOB_NAME": "uota", "SLURM_STEP_ID": "0"}


@pytest.fixture
def environment(monkeypatch):
    """Set what a launcher sets, and nothing else."""

    def set_only(values):
        for name in {*TORCHRUN, *SRUN, "NODE_RANK"}:
            monkeypatch.delenv(name, raising=False)
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    set_only({})
    return set_only


@pytest.mark.parametrize("launcher", [TORCHRUN, SRUN, SRUN | TORCHRUN], ids=["torchrun", "srun", "torchrun in a job"])
@pytest.mark.parametrize("asked", [(1, 1), (4, 2), (8, 1), ("auto", 1), ("auto", 2)])
def test_a_launcher_says_how_many_there_are(environment, launcher, asked):
    """Also to a recipe of eight devices, for which two nodes have four each."""
    environment(launcher)
    assert resolve_devices("cpu", *asked) == (4, 2)


@pytest.mark.parametrize(("launcher", "name"), [(TORCHRUN, "torchrun"), (SRUN, "srun")])
@pytest.mark.parametrize("asked", [(2, 1), (4, 1), (8, 2), ("auto", 3)])
def test_other_numbers_than_a_launcher_started_are_refused(environment, launcher, name, asked):
    environment(launcher)
    says = f"devices is {asked[0]} and nodes is {asked[1]}, and {name} started 4 processes on each of 2 nodes"
    with pytest.raises(UotaError, match=says):
        resolve_devices("cpu", *asked)


def test_without_a_launcher_the_settings_say_it(environment):
    assert resolve_devices("cpu", 2, 1) == (2, 1)
    assert resolve_devices("cpu", "auto", 1) == (1, 1)
    with pytest.raises(UotaError, match=r"nodes is 2, and nothing has started .* torchrun or srun"):
        resolve_devices("cpu", 2, 2)
    environment({"NODE_RANK": "1"})
    assert resolve_devices("cpu", 2, 2) == (2, 2)


def test_a_job_of_one_task_or_of_typed_commands_is_no_launcher_of_several(environment):
    environment(SRUN | {"SLURM_NTASKS": "1", "SLURM_NTASKS_PER_NODE": "1", "SLURM_NNODES": "1"})
    assert resolve_devices("cpu", 1, 1) == (1, 1)
    environment(SRUN | {"SLURM_JOB_NAME": "interactive"})
    assert resolve_devices("cpu", 2, 1) == (2, 1)


def test_the_script_of_a_job_is_one_process_like_any_other(environment):
    environment({name: value for name, value in SRUN.items() if name != "SLURM_STEP_ID"})
    assert resolve_devices("cpu", 2, 1) == (2, 1)
    assert [type(each) for each in slurm_plugins()] == [LightningEnvironment]


def test_tasks_of_unknown_nodes_are_refused(environment):
    environment({name: value for name, value in SRUN.items() if name != "SLURM_NTASKS_PER_NODE"})
    with pytest.raises(UotaError, match="--ntasks-per-node instead of --ntasks"):
        resolve_devices("cpu", 1, 1)


def test_lightning_leaves_requeueing_to_us(environment):
    environment(SRUN)
    (plugin,) = slurm_plugins()
    assert not plugin.auto_requeue
    environment(TORCHRUN | SRUN)
    assert slurm_plugins() == []
