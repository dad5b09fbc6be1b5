#!/bin/bash
# Pretraining on several nodes of a cluster that SLURM manages:
#
#     sbatch examples/slurm.sh runs/imagenet --config swav_imagenet --data imagenet --batch-size 4096
#
# The first argument is the folder of the run, on a disk that all nodes share; the others are those of `uota pretrain`,
# without --devices and --nodes, which srun knows. Three minutes before its time is over, the job finishes its step, saves
# a checkpoint and is queued again; it resumes from there. A job that is preempted, and gets SIGTERM, saves as well, and
# SLURM queues it again because of --requeue. `scancel` does not bring it back.
#SBATCH --job-name=uota
#SBATCH --nodes=8
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=12
#SBATCH --time=24:00:00
#SBATCH --signal=USR1@180
#SBATCH --requeue
#SBATCH --open-mode=append

run=${1:?is missing: sbatch examples/slurm.sh RUN [options of uota pretrain]}
shift
trap : USR1 TERM # of the script itself, which waits until the processes of srun, which get them too, have saved

if [ -e "$run/settings.json" ]; then
    srun uota pretrain --out "$run" --resume "$@"
else
    srun uota pretrain --out "$run" "$@"
fi
code=$?

# uota ends with 128 + the number of the signal that stopped it after a checkpoint.
if [ "$code" -eq $((128 + $(kill -l USR1))) ]; then
    scontrol requeue "${SLURM_JOB_ID:?is not set; start this script with sbatch}"
fi
exit "$code"
