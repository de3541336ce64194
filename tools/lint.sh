#!/usr/bin/env bash
# Style, order of the rooms, types and documentation site (build/site). Run by run_tests.sh and pre-commit.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$ROOT"
ruff check .
lint-imports
mypy
NO_MKDOCS_2_WARNING=1 mkdocs build --quiet --strict
