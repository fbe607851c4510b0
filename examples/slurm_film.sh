#!/bin/bash
# Enlarges a film on many machines under Slurm, each making its share of the pieces, and then joins them:
#   job=$(sbatch --parsable examples/slurm_film.sh film.mkv film_4x.mkv)
#   sbatch --dependency=afterok:"$job" --array=1 examples/slurm_film.sh film.mkv film_4x.mkv --join
# What follows the two films goes to `sr-jax upscale`: give both commands the same.
#SBATCH --job-name=sr_jax_film
#SBATCH --array=1-8
#SBATCH --gpus=1
#SBATCH --cpus-per-task=8
#SBATCH --time=12:00:00
# A task that was broken off goes on where it was.
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

film=$1 output=$2
shift 2
WEIGHTS=${WEIGHTS:-realesr-animevideov3}

share=(--part "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT")
for word in "$@"; do
    [ "$word" != --join ] || share=()
done
exec python -m sr_jax upscale "$film" --weights "$WEIGHTS" --output "$output" "${share[@]}" "$@"
