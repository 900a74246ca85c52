#!/usr/bin/env bash
# Tries an installed copy of the package in the current, empty folder, away from its source:
#   bash tests/smoke_installed.sh <the environment's bin folder>
set -euo pipefail
bin=$(cd "$1" && pwd)

"$bin/wsis" --version
"$bin/wsis" --help > help.txt
where=$("$bin/python" -c "import wsislib; print(wsislib.__file__)")
case "$where" in
    "$(dirname "$bin")"/*) ;;
    *) echo "wsislib was imported from $where, not from the environment" >&2; exit 1 ;;
esac
"$bin/wsis" data make scenes --count 6 --size 64
"$bin/wsis" data check scenes/annotations.json
"$bin/wsis" train scenes/annotations.json --out model --steps 2 --batch-size 2 --device cpu \
    --start scratch # the packages of ImageNet weights are an extra
"$bin/wsis" predict model scenes/images --out found
test -s found/results.json
"$bin/wsis" status > status.txt 2>&1 && { echo "a study was found where none is" >&2; exit 1; }
grep -q "found no book/study.yml" status.txt # the study's commands say that they need a clone
echo "-- the installed package works"
