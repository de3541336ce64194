#!/usr/bin/env bash
# Lint, tests under NumPy 2, and tests of MMPose under NumPy 1. Arguments go to pytest: run_tests.sh -k render
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$ROOT"
if ! cmp -s requirements/pose.txt "$VIRTUAL_ENV/mofm-pose.txt"; then
    "$PYTHON" -m pip install --disable-pip-version-check -q --no-deps --require-hashes -r requirements/pose.txt \
        && cp requirements/pose.txt "$VIRTUAL_ENV/mofm-pose.txt"
fi
bash tools/lint.sh
# NumPy 2 is in a folder of its own, which precedes the environment
NUMPY2="$VIRTUAL_ENV/numpy2"
if ! cmp -s requirements/numpy2.txt "$NUMPY2/mofm-numpy2.txt"; then
    rm -rf "$NUMPY2"
    "$PYTHON" -m pip install --disable-pip-version-check -q --no-deps --require-hashes \
        --target "$NUMPY2" -r requirements/numpy2.txt && cp requirements/numpy2.txt "$NUMPY2/mofm-numpy2.txt"
fi
# one process per core, one thread per process
export OMP_NUM_THREADS=1
PYTHONPATH="$NUMPY2" "$PYTHON" -m pytest -n auto --maxprocesses 4 --dist loadfile "$@" tests
# the wheel of xtcocotools is built for NumPy 1; 5: no test is selected
"$PYTHON" -m pytest -q -m numpy1 "$@" tests/test_pose_estimation || [ $? = 5 ]
