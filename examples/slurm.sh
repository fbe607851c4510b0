#!/bin/bash
# Trains on the GPUs of several machines under Slurm: sbatch examples/slurm.sh
# or, with what sr_jax.main is to be given: sbatch examples/slurm.sh --config configs/rrdb.py
#SBATCH --job-name=sr_jax
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
# Tells this script, and only it, two minutes before the end: they must do for one step and for saving.
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

[ "$#" -gt 0 ] || set -- --config configs/vqvae.py:imagenet

# A folder that all the machines share.
WORKDIR=${WORKDIR:-$SLURM_SUBMIT_DIR/runs/$SLURM_JOB_NAME}

# The processes save and end when they are asked to; then the job resumes by itself. Their status, 143, does not
# tell that they were asked: Slurm also ends those that are left when one has failed.
time_is_up=
trap 'time_is_up=yes; scancel --signal=TERM "$SLURM_JOB_ID"' USR1

# One process a GPU; JAX reads from Slurm's variables which of them each is.
# A lost process ends the others within the seconds of --silence, and the job with them.
srun --kill-on-bad-exit=1 python -m sr_jax.main "$@" \
    --workdir "$WORKDIR" --distributed --silence 60 &
processes=$!

status=0
wait "$processes" || status=$?
# The signal ends the first wait, not the processes.
if [ -n "$time_is_up" ]; then
    status=0
    wait "$processes" || status=$?
    [ "$status" -ne 143 ] || scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
