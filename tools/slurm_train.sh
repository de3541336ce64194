#!/usr/bin/env bash
# slurm_train.sh PARTITION JOB_NAME CONFIG GPUS [arguments of train.py]
# GPUS_PER_NODE (8), CPUS_PER_TASK (5), PORT (random) and SRUN_ARGS adjust the job.
set -euo pipefail
[ $# -ge 4 ] || { echo "usage: $(basename "$0") PARTITION JOB_NAME CONFIG GPUS [options]" >&2; exit 2; }
HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
PARTITION="$1"; JOB_NAME="$2"; CONFIG="$3"; GPUS="$4"; shift 4
[[ "$GPUS" =~ ^[1-9][0-9]*$ ]] || { echo "GPUS: found $GPUS, expected a number of processes" >&2; exit 2; }
PER_NODE="${GPUS_PER_NODE:-8}"
[ "$GPUS" -lt "$PER_NODE" ] && PER_NODE="$GPUS"
# srun passes the environment to every process
export MASTER_PORT="${PORT:-$((20000 + RANDOM % 10000))}"
# shellcheck disable=SC2086  # SRUN_ARGS holds several words
exec srun -p "$PARTITION" --job-name="$JOB_NAME" --gres="gpu:$PER_NODE" --ntasks="$GPUS" \
    --ntasks-per-node="$PER_NODE" --cpus-per-task="${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 \
    ${SRUN_ARGS:-} "${PYTHON:-python}" -u "$HERE/train.py" "$CONFIG" --launcher slurm "$@"
