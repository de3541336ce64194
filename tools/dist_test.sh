#!/usr/bin/env bash
# dist_test.sh CONFIG CHECKPOINT GPUS [arguments of test.py]; see dist_train.sh for several machines.
set -euo pipefail
[ $# -ge 3 ] || { echo "usage: $(basename "$0") CONFIG CHECKPOINT GPUS [options]" >&2; exit 2; }
CONFIG="$1"; CHECKPOINT="$2"; GPUS="$3"; shift 3
TOOL=test.py exec "$(dirname "${BASH_SOURCE[0]}")/dist_train.sh" "$CONFIG" "$GPUS" "$CHECKPOINT" "$@"
