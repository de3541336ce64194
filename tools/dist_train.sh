#!/usr/bin/env bash
# dist_train.sh CONFIG GPUS [arguments of train.py]; uses CPU processes without a GPU.
# Several machines: NNODES, NODE_RANK, MASTER_ADDR and PORT, the same PORT on all of them.
set -euo pipefail
TOOL="${TOOL:-train.py}"
[ $# -ge 2 ] || { echo "usage: $(basename "$0") CONFIG GPUS [options]" >&2; exit 2; }
HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
CONFIG="$1"; GPUS="$2"; shift 2
[[ "$GPUS" =~ ^[1-9][0-9]*$ ]] || { echo "GPUS: found $GPUS, expected a number of processes" >&2; exit 2; }
NNODES="${NNODES:-1}"
NODE_RANK="${NODE_RANK:-0}"
MASTER_ADDR="${MASTER_ADDR:-127.0.0.1}"
PYTHON="${PYTHON:-python}"
if [ -z "${PORT:-}" ]; then
    [ "$NNODES" = 1 ] || { echo 'set PORT to the same free port on every machine' >&2; exit 2; }
    PORT="$("$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])')"
fi
# one thread per core, shared by the processes of this machine
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-$(( $(nproc) / GPUS > 0 ? $(nproc) / GPUS : 1 ))}"
export MOFM_LAUNCHER=$$  # the processes end with it
exec "$PYTHON" -m mofm.torchrun --nnodes="$NNODES" --node_rank="$NODE_RANK" \
    --master_addr="$MASTER_ADDR" --master_port="$PORT" --nproc_per_node="$GPUS" \
    "$HERE/$TOOL" "$CONFIG" "$@" --launcher pytorch
