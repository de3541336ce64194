#!/usr/bin/env bash
# All stages of MoFM at a small size, without data files: tokenizer, pre-training, fine-tuning, test.
# quickstart.sh [--out FOLDER]    pictures and report.md, by default in ./quickstart
set -euo pipefail
HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
case " $* " in *' --help '*|*' -h '*) sed -n '2,3s/^# //p' "$HERE/quickstart.sh"; exit ;; esac
source "$HERE/env.sh"
exec "$PYTHON" "$HERE/quickstart.py" "$@"
