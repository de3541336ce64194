# Python environment with pinned packages, sourced by the other scripts.
# Uses the active virtual environment, else .venv in the repository, created on first use.
# PYTHON=/path/to/python3.11 selects the interpreter of a new one.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
if [ -z "${VIRTUAL_ENV:-}" ]; then
    if [ ! -x "$ROOT/.venv/bin/python" ]; then
        for candidate in ${PYTHON:-python3.11 python3.12 python3.10 python3}; do
            "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' \
                2>/dev/null && break
            candidate=
        done
        [ -n "$candidate" ] || { echo 'MoFM needs Python 3.10, 3.11 or 3.12; set PYTHON to one.' >&2; exit 1; }
        echo "Creating $ROOT/.venv with $("$candidate" --version)"
        "$candidate" -m venv "$ROOT/.venv" || exit 1
    fi
    VIRTUAL_ENV="$ROOT/.venv"
fi
PYTHON="$VIRTUAL_ENV/bin/python"
# installed once, and again after changes
LOCKS="$ROOT/requirements"
locks() { cat "$LOCKS"/{lock,torch,torch_cpu}.txt; }
install() { "$PYTHON" -m pip install --disable-pip-version-check --progress-bar on --no-deps "$@"; }
if ! locks | cmp -s - "$VIRTUAL_ENV/mofm-lock.txt"; then
    echo 'Installing pinned packages (about 1.6 GB, 2 to 5 minutes, once)'
    # wheels only: a build would fetch tools of its own without hashes
    locked() { install --only-binary :all: --require-hashes -r "$@"; }
    # of two wheels of OpenCV in one folder the removal of one breaks the other
    "$PYTHON" -m pip uninstall -qqy opencv-python opencv-contrib-python \
        && locked "$LOCKS/lock.txt" \
        && { locked "$LOCKS/torch_cpu.txt" -q 2> /dev/null \
             || locked "$LOCKS/torch.txt"; } \
        && locks > "$VIRTUAL_ENV/mofm-lock.txt" || exit 1
fi
# another clone may have used the environment before
package() { echo "$ROOT"; cat "$ROOT/setup.py"; }
if ! package | cmp -s - "$VIRTUAL_ENV/mofm-package.txt"; then
    install -q --no-build-isolation -e "$ROOT" && package > "$VIRTUAL_ENV/mofm-package.txt" || exit 1
fi
export PATH="$VIRTUAL_ENV/bin:$PATH" VIRTUAL_ENV
