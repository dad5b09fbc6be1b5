"""How many processes train together: those that a launcher has started, or else those that Lightning is to start."""

import os
from collections.abc import Mapping
from typing import NamedTuple

from pytorch_lightning.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)

from uota.errors import UotaError
from uota.settings.ranges import AUTO, count_ranks
from uota.training.accelerators import check_accelerator, count_devices

# Jobs of SLURM in which a person types commands, which are then not started by srun.
TYPED = ("bash", "interactive")


class Launched(NamedTuple):
    """The processes of which a launcher started this one.

    Attributes:
        devices: number of processes on each node.
        nodes: number of machines.
        by: the launcher.
    """

    devices: int
    nodes: int
    by: str


def launched(environment: Mapping[str, str] = os.environ) -> Launched | None:
    """Return what torchrun or srun started; None: a person started this process, or Lightning did for one.

    Raises:
        UotaError: SLURM does not say how many processes each node has.
    """
    if TorchElasticEnvironment.detect():  # it may run within a job of SLURM
        each = int(environment["LOCAL_WORLD_SIZE"])
        return Launched(each, int(environment["WORLD_SIZE"]) // each, "torchrun")
    by_srun = {"SLURM_STEP_ID", "SLURM_NTASKS"} <= environment.keys()  # a job's own script has no step
    if not by_srun or environment.get("SLURM_JOB_NAME") in TYPED:
        return None
    if environment["SLURM_NTASKS"] == "1":
        return Launched(1, 1, "srun")
    if "SLURM_NTASKS_PER_NODE" not in environment:
        raise UotaError(
            f"SLURM runs {environment['SLURM_NTASKS']} tasks and does not say how many are on a node; give sbatch "
            "--ntasks-per-node instead of --ntasks, as examples/slurm.sh does"
        )
    return Launched(int(environment["SLURM_NTASKS_PER_NODE"]), int(environment.get("SLURM_NNODES", "1")), "srun")


def slurm_plugins() -> list[ClusterEnvironment]:
    """Return the plugin of a Trainer in a job of SLURM, which leaves saving and requeueing to us; none elsewhere.

    Lightning's own requeueing saves a checkpoint of its own within the handler of a signal, in the middle of a step.
    And it takes the job's own script, without srun, for one of several tasks, and waits for the others for ever.
    """
    found = launched()
    if found is not None and found.by == "srun":
        return [SLURMEnvironment(auto_requeue=False)]
    return [LightningEnvironment()] if found is None and SLURMEnvironment.detect() else []


def resolve_devices(accelerator: str, devices: int | str, nodes: int) -> tuple[int, int]:
    """Return the numbers of devices on each node, and of nodes, with which a training is computed.

    A launcher has the last word: processes are there already, and none are started. What the settings say must then
    agree with it in product, as for a recipe of 32 devices on 4 nodes of 8, unless they are left at 1.

    Args:
        accelerator: name of the accelerator.
        devices: as asked for, or auto.
        nodes: as asked for.

    Raises:
        UotaError: the accelerator is unavailable or has too few devices, a launcher started another number of
            processes, or nothing started processes on the other nodes.
    """
    found = launched()
    if found is not None:
        check_accelerator(accelerator, found.devices)
        _check_agreement(found, devices, nodes)
        return found.devices, found.nodes
    if nodes > 1 and "NODE_RANK" not in os.environ:
        raise UotaError(
            f"nodes is {nodes}, and nothing has started this command on the other nodes; start it with torchrun or "
            "srun (examples/slurm.sh), or leave nodes out"
        )
    if devices == AUTO:
        check_accelerator(accelerator, 1)
        return count_devices(accelerator), nodes
    assert isinstance(devices, int)
    check_accelerator(accelerator, devices)
    return devices, nodes


def _check_agreement(found: Launched, devices: int | str, nodes: int) -> None:
    if devices == AUTO:
        agrees = nodes in (1, found.nodes)
    else:
        agrees = count_ranks(devices, nodes) in (1, found.devices * found.nodes)
    if not agrees:
        several = f" on each of {found.nodes} nodes" if found.nodes > 1 else ""
        raise UotaError(
            f"devices is {devices} and nodes is {nodes}, and {found.by} started {found.devices} processes{several}; "
            "start as many, or leave devices and nodes out"
        )
