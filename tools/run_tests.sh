#!/usr/bin/env bash
# Lint and tests, the core part under NumPy 1 and 2. Arguments go to pytest: run_tests.sh -k render
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$ROOT"
if ! cmp -s requirements/pose.txt "$VIRTUAL_ENV/mofm-pose.txt"; then
    "$PYTHON" -m pip install --disable-pip-version-check -q --no-deps -r requirements/pose.txt \
        && cp requirements/pose.txt "$VIRTUAL_ENV/mofm-pose.txt"
fi
bash tools/lint.sh
# NumPy 2 lies beside the environment; the core finds it first
NUMPY2="$VIRTUAL_ENV/numpy2"
if [ ! -d "$NUMPY2/numpy" ]; then
    "$PYTHON" -m pip install --disable-pip-version-check -q --no-deps --target "$NUMPY2" 'numpy>=2,<3'
fi
echo 'Core under NumPy 2'
PYTHONPATH="$NUMPY2" "$PYTHON" -m pytest -q -m 'not slow' "$@" \
    tests/test_structures tests/test_annotations tests/test_keypoints tests/test_datasets tests/test_models tests/test_engine
echo 'Everything under NumPy 1'
# one process a core, one thread a process
OMP_NUM_THREADS=1 "$PYTHON" -m pytest -n auto --maxprocesses 4 --dist loadfile "$@" tests
