#!/bin/bash
# Trains on the GPUs of several machines under Slurm: sbatch examples/slurm.sh
#SBATCH --job-name=sr_jax
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
# SIGTERM two minutes before the end, so that the run is saved; then the job goes on by itself.
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

# A folder that all the machines share.
WORKDIR=${WORKDIR:-$SLURM_SUBMIT_DIR/runs/vqvae}

# One process a GPU; JAX reads from Slurm's variables which of them each is.
# A lost process ends the others within the seconds of --silence, and the job with them.
status=0
srun --kill-on-bad-exit=1 python -m sr_jax.main \
    --config configs/vqvae.py:imagenet --workdir "$WORKDIR" --distributed --silence 60 "$@" ||
    status=$?

# 143: saved after SIGTERM, more to do.
if [ "$status" -eq 143 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
