"""Run the sections of the GPU benchmark one after the other, each with a time limit of its own.

A section runs in a process of its own: one that hangs, crashes or fills the memory takes no other
with it. The JSON is written anew after every section, so that a cut-off keeps what was done; a
section that is on record there for this card is left alone, unless --again is said.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import torch  # noqa: E402
from record import RESULTS, machine, record  # noqa: E402

from wsislib.atomic import read_json  # noqa: E402

Row = dict[str, Any]

# Section -> seconds that it may take. Together with the start they stay below ten minutes. On a
# CPU, where the code is only tried, it may take three times as long.
SECTIONS = {
    "numeric tests": 150,
    "mask-rcnn": 80,
    "maskx-rcnn": 80,
    "mask2former": 90,
    "wish-points": 90,
    "wish-tags": 90,
}
# At tiny size a few tests, one of each kind.
TINY_TESTS = "nms or matching or pasted or (losses and mask2former) or not_there"


def command(section: str, device: str, tiny: bool) -> list[str]:
    """What is run for a section; its last line of output is JSON."""
    if section == "numeric tests":
        own = [str(Path(__file__).with_name("numeric.py")), "--device", device]
        return [sys.executable, *own, *(["--select", TINY_TESTS] if tiny else [])]
    own = [str(Path(__file__).with_name("step.py")), section, "--device", device]
    return [sys.executable, *own, *(["--tiny"] if tiny else [])]


def run_section(section: str, device: str, tiny: bool) -> Row:
    """The row of a section: its numbers, or the error that stands in for them."""
    start, limit = time.monotonic(), SECTIONS[section] * (3 if device == "cpu" else 1)
    try:
        done = subprocess.run(
            command(section, device, tiny),
            stdout=subprocess.PIPE,
            text=True,
            timeout=limit,
            cwd=ROOT,
        )
        lines = done.stdout.strip().splitlines()
        found = json.loads(lines[-1]) if done.returncode == 0 and lines else None
        row = found or {"error": f"exit status {done.returncode}: {' | '.join(lines[-3:])}"}
    except subprocess.TimeoutExpired:
        row = {"error": f"took longer than {limit} s"}
    except json.JSONDecodeError as error:
        row = {"error": f"its last line is no JSON ({error})"}
    return {"section": section, **row, "took_seconds": round(time.monotonic() - start, 1)}


def on_record(path: Path, card: str | None) -> list[Row]:
    """The rows that need not be made again: without an error, of this card and these versions."""
    if not path.is_file():
        return []
    content = read_json(path)
    then, now = content["machine"], machine()
    if then["gpu"] != card or then["libraries"] != now["libraries"]:
        return []
    return [row for row in content["rows"] if "error" not in row]


def name_of(card: str | None, tiny: bool) -> str:
    """The file's name, without ending: gpu_nvidia-h100-80gb-hbm3."""
    slug = re.sub(r"[^a-z0-9]+", "-", (card or "cpu").lower()).strip("-")
    return f"gpu_{slug}{'_tiny' if tiny else ''}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--tiny", action="store_true", help="try the code: numbers mean nothing")
    parser.add_argument("--again", action="store_true", help="run what is on record as well")
    parser.add_argument("--only", nargs="+", default=list(SECTIONS), choices=list(SECTIONS))
    parser.add_argument("--output", type=Path, help="folder of the JSON")
    said = parser.parse_args(arguments)
    if said.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch sees no GPU here; --tiny --device cpu tries the code without one")
    card = torch.cuda.get_device_name() if said.device == "cuda" else None
    folder = said.output or (ROOT / "build" if said.tiny or card is None else RESULTS)
    name = name_of(card, said.tiny)
    rows = on_record(folder / f"{name}.json", card)
    for section in said.only:
        if any(row["section"] == section for row in rows) and not said.again:
            print(f"{section}: on record in {name}.json, left alone", flush=True)
            continue
        row = run_section(section, said.device, said.tiny)
        rows = [*(other for other in rows if other["section"] != section), row]
        record(name, rows, folder)
        print(f"{section}: {json.dumps(row)}", flush=True)
    failed = [row["section"] for row in rows if row.get("error") or row.get("failed")]
    print(f"{len(rows)} sections in {folder / name}.json; failed: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1" if "cpu" in sys.argv else "8")
    sys.exit(main())
