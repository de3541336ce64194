#!/usr/bin/env bash
# Resolve the pinned sets in requirements/ with the hashes of all files, for Python 3.10 to 3.12; needs uv.
# lock.sh                              after a change of setup.py: what fits stays
# lock.sh --upgrade                    newest releases; --upgrade-package NAME for one of them
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../requirements"
FOLDER="$(mktemp -d)"
trap 'rm -r "$FOLDER"' EXIT

resolve() {  # resolve FILE OPTION ...: the versions in FILE are preferred
    uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header \
        --annotation-style line --output-file "$@" > /dev/null
}
write() {  # write FILE COMMENT: standard input with a comment on top
    { echo "# $2; made by tools/lock.sh"; cat; } > "$FOLDER/new" && mv "$FOLDER/new" "$1"
}

cat lock.txt torch.txt > "$FOLDER/all.txt"
resolve "$FOLDER/all.txt" ../setup.py --extra tests --extra export --constraint pins.in "$@"
# torch depends on the machine: torch_cpu.txt where an index has such a build, else torch.txt
part() {
    awk -v torch="$1" '/^[a-z]/ {here = /^(torch=|triton|cuda-|nvidia-)/ == torch} here' "$FOLDER/all.txt"
}
part 0 | write lock.txt 'What tools/env.sh installs, without torch; known to work together'
part 1 | write torch.txt 'torch of the package index, on Linux with CUDA'

cp numpy2.txt "$FOLDER"
echo 'numpy>=2,<3' | resolve "$FOLDER/numpy2.txt" - --no-deps "$@"
write numpy2.txt 'NumPy of tools/run_tests.sh' < "$FOLDER/numpy2.txt"

cp pose.txt "$FOLDER"
printf '%s\n' mmpose==1.1.0 xtcocotools==1.14.3 munkres==1.1.4 | resolve "$FOLDER/pose.txt" - --no-deps "$@"
write pose.txt 'MMPose on top of lock.txt: pip install --no-deps -r requirements/pose.txt. Its dependencies
# chumpy (does not build any more) and torchvision (replaces torch) are not needed' < "$FOLDER/pose.txt"
