"""Memory and time of the commands for one's own photographs, on large ones.

    python benchmarks/bench_own_pictures.py [--library FOLDER] [--work FOLDER] [--only WORD ...]

Four photographs of 4032 x 3024 with 32 objects each, one of 6000 x 4000 with 100 and with 300, and
as a control the four at 403 x 302. Each command is a process of its own, of which the most memory
that it ever held (MiB) and the seconds are taken, start included; seconds of the processor are not
those of the clock where the machine does other work as well. A command that holds more than
the limit is ended. --library measures another copy of the library. --only measures anew what its
words name, in the folder --work of an earlier call, and keeps the other numbers. `wsis predict` is
measured elsewhere.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from record import RESULTS, record

LIMIT_MIB = 10 * 1024
STEPS = 20
CATEGORIES = [{"id": 1, "name": "square"}, {"id": 2, "name": "disc"}]
CHILD = """
import sys, time
from pathlib import Path
from wsislib.cli import main
code = main(sys.argv[1:])
print("CPU", time.process_time())
lines = Path("/proc/self/status").read_text().splitlines()
print("PEAK", next(line for line in lines if line.startswith("VmHWM")).split()[1], flush=True)
sys.exit(code)
"""


def draw_folder(folder: Path, images: int, size: tuple[int, int], objects: int) -> Path:
    """A COCO folder of photographs of `size` (width, height) with outlined objects."""
    (folder / "images").mkdir(parents=True)
    width, height = size
    document: dict[str, Any] = {"images": [], "annotations": [], "categories": CATEGORIES}
    for number in range(1, images + 1):
        rng = np.random.default_rng(number)
        small = rng.integers(60, 180, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
        picture = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
        draw = ImageDraw.Draw(picture)
        for place in range(objects):
            side = int(rng.integers(width // 40, width // 8))
            x, y = int(rng.integers(0, width - side)), int(rng.integers(0, height - side))
            kind = place % 2 + 1
            colour = [(220, 40, 40), (40, 60, 220)][place % 2]
            shape = draw.rectangle if kind == 1 else draw.ellipse
            shape([x, y, x + side - 1, y + side - 1], fill=colour)
            turn = np.linspace(0, 2 * np.pi, 5 if kind == 1 else 33)[:-1] + np.pi / 4
            reach = side / 2 * (2**0.5 if kind == 1 else 1)
            outline = np.stack([np.cos(turn), np.sin(turn)], 1) * reach + [
                x + side / 2,
                y + side / 2,
            ]
            document["annotations"].append({
                "id": len(document["annotations"]) + 1, "image_id": number, "category_id": kind,
                "iscrowd": 0, "bbox": [x, y, side, side],
                "segmentation": [outline.reshape(-1).round(2).tolist()],
            })  # fmt: skip
        picture.save(folder / "images" / f"{number}.jpg", quality=90)
        entry = {"id": number, "file_name": f"{number}.jpg", "width": width, "height": height}
        document["images"].append(entry)
    path = folder / "train.json"
    path.write_text(json.dumps(document))
    return path


def measured(arguments: Sequence[str], library: Path) -> dict[str, Any]:
    """One command in a process of its own."""
    paths = os.pathsep.join([str(library), str(library / "book")])
    environment = {**os.environ, "PYTHONPATH": paths}
    start = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, *arguments],
        cwd=library, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    seen = 0.0
    while child.poll() is None:
        seen = max(seen, _resident(child.pid))
        if seen > LIMIT_MIB:
            child.kill()
        time.sleep(0.1)
    seconds = round(time.perf_counter() - start, 1)
    said = child.communicate()[0]
    peaks = [line.split()[1] for line in said.splitlines() if line.startswith("PEAK")]
    ended = "done" if child.returncode == 0 else f"ended at {LIMIT_MIB} MiB"
    if child.returncode != 0 and seen <= LIMIT_MIB:
        ended = f"exit code {child.returncode}"
    peak = int(peaks[0]) / 1024 if peaks else seen
    busy = [float(line.split()[1]) for line in said.splitlines() if line.startswith("CPU")]
    return {
        "peak_mib": round(peak),
        "seconds": seconds,
        "processor_seconds": round(busy[0], 1) if busy else None,
        "outcome": ended,
    }


def _resident(process: int) -> float:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    held = [line.split()[1] for line in lines if line.startswith("VmRSS")]
    return int(held[0]) / 1024 if held else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--library", type=Path, default=Path(__file__).resolve().parents[1])
    parser.add_argument("--name", default="own_pictures_cpu")
    parser.add_argument("--work", type=Path, help="folder for pictures and models")
    parser.add_argument("--only", nargs="*", default=[], help="only commands whose name has a word")
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp(prefix="own-pictures-"))
    commands = commands_in(work.resolve())
    rows: dict[str, dict[str, Any]] = {}
    if options.only and (RESULTS / f"{options.name}.json").exists():
        before = json.loads((RESULTS / f"{options.name}.json").read_text())
        rows = {row["command"]: row for row in before["rows"]}
    for name, arguments in commands.items():
        if not options.only or any(word in name for word in options.only):
            rows[name] = {"command": name, **measured(arguments, options.library.resolve())}
            print(rows[name], flush=True)
            record(options.name, [rows[known] for known in commands if known in rows])


def commands_in(work: Path) -> dict[str, list[str]]:
    """What is measured, by name, with its pictures drawn; evaluation wants the control's model."""
    sizes = {"large": (4, (4032, 3024), 32), "small": (4, (403, 302), 32)}
    sizes |= {"hundred": (1, (6000, 4000), 100), "many": (1, (6000, 4000), 300)}
    files = {}
    for name, about in sizes.items():
        files[name] = str(work / name / "train.json")
        if not Path(files[name]).exists():
            draw_folder(work / name, *about)
    cpu = ["--device", "cpu", "--out"]
    wish = ["--model", "wish", "--labels", "boxes", "--steps", str(STEPS), *cpu]
    masks, boxes = ["--steps", str(STEPS), *cpu], ["--kind", "box", *cpu]
    model, cache = str(work / "control"), str(work / "cache-300")
    export = ["--cache", cache, "--kind", "box", "--out", str(work / "export.json")]
    return {
        "check, 4 x 12 MP": ["data", "check", files["large"]],
        "train WISH, 4 x 0.1 MP": ["train", files["small"], *wish, model],
        "train WISH, 4 x 12 MP": ["train", files["large"], *wish, str(work / "wish")],
        "train Mask R-CNN, 4 x 12 MP": ["train", files["large"], *masks, str(work / "masks")],
        "train WISH, 24 MP, 300": ["train", files["many"], *wish, str(work / "many-model")],
        "evaluate, 4 x 12 MP": ["evaluate", model, files["large"], *cpu[:2]],
        "evaluate, 24 MP, 300": ["evaluate", model, files["many"], *cpu[:2]],
        "teach, 24 MP, 100": ["teach", files["hundred"], *boxes, str(work / "cache-100")],
        "teach, 24 MP, 300": ["teach", files["many"], *boxes, cache],
        "export, 24 MP, 300": ["export", files["many"], *export],
    }


if __name__ == "__main__":
    main()
