#!/usr/bin/env bash
# Poses of many videos as a Slurm job array, one task per GPU; paths are on storage that all nodes see.
#   sbatch --array=0-15 examples/slurm_extract.sh videos data/mine.pkl [options of mofm extract]
# A task that is requeued, and the same command, resume. The task that finds all videos done writes the annotation
# file; where some cannot be read, the last line of a log says how to write it without them.
#SBATCH --job-name=extract
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=4
#SBATCH --requeue
#SBATCH --output=extract_%A_%a.log
set -euo pipefail
[ $# -ge 2 ] || { echo "usage: sbatch --array=0-N $(basename "$0") VIDEOS OUT [options]" >&2; exit 2; }
export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}"
exec mofm extract "$1" --out "$2" --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" "${@:3}"
