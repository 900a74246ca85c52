#!/usr/bin/env bash
# Download what benchmarks/gpu/run.sh may have to install into build/gpu-wheels: wheels for
# Python 3.12 on Linux x86-64, at the versions of constraints.txt, 20 MB at most.
#
#   benchmarks/gpu/wheels.sh [PYTHON VERSION, e.g. 3.11]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

version=${1:-3.12}
folder=build/gpu-wheels
most=20000000
python=${PYTHON:-.venv/bin/python}
[ -x "$python" ] || python=python3

rm -rf "$folder"
mkdir -p "$folder"
mapfile -t packages < <(sed '/^#/d; s/.* //' benchmarks/gpu/wheels.txt)
"$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    --python-version "$version" --implementation cp \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 \
    --platform manylinux2014_x86_64 \
    --dest "$folder" --constraint constraints.txt "${packages[@]}"

size=$(cat "$folder"/*.whl | wc -c)
echo "$(ls "$folder" | wc -l) wheels, $size bytes in $folder"
if [ "$size" -gt "$most" ]; then
    echo "more than the $most bytes that may be carried: drop something from wheels.txt" >&2
    exit 1
fi
