#!/usr/bin/env bash
# The numeric tests on CUDA, and every model family at R-50 size against its peer; see README.md.
#
#   benchmarks/gpu/run.sh [--tiny] [--device cpu] [--again] [--only SECTION ...] [--output FOLDER]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

python=${PYTHON:-python3}
wheels=build/gpu-wheels
site=build/gpu-site

# Packages go beside the Python that has torch instead of into an environment of their own: one
# made from that Python does not see its torch where that Python is itself in an environment.
# Only what cannot be imported is installed, so nothing that is there is shadowed.
export PYTHONPATH="$PWD:$PWD/$site${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
mapfile -t missing < <("$python" - <<'PY'
from importlib.util import find_spec
from pathlib import Path

for line in Path("benchmarks/gpu/wheels.txt").read_text().splitlines():
    if not line.startswith("#"):
        module, package = line.split()
        if find_spec(module) is None:
            print(package)
PY
)
if [ ${#missing[@]} -gt 0 ]; then
    echo "installing ${missing[*]} from $wheels"
    "$python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps \
        --find-links "$wheels" --target "$site" "${missing[@]}" || {
        echo "run benchmarks/gpu/wheels.sh where there is a network, and carry $wheels here" >&2
        exit 1
    }
fi
exec "$python" benchmarks/gpu/sections.py "$@"
