"""Real photographs: check, train, SIGKILL in the middle, go on, evaluate."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wsislib.photos import commands as photos

FOLDER = Path(
    os.environ.get("WSIS_COCO_MINI", Path(__file__).parents[3] / "shared" / "data" / "coco-mini")
)
needs_photographs = pytest.mark.skipif(
    not (FOLDER / "train.json").exists(),
    reason="need the photographs of coco-mini (name their folder in WSIS_COCO_MINI)",
)
STEPS = 8
MODELS = {
    "mask-rcnn": [],
    "wish": ["--model", "wish", "--labels", "1 tags + 1 points + 1 boxes + 1 masks"],
}


def command(out: Path, model: str) -> list[str]:
    options = ["--first", "4", "--steps", str(STEPS), "--batch-size", "2", "--device", "cpu"]
    options += ["--image-side", "64", "96", "--checkpoint-every", "1", "--out", str(out)]
    options += MODELS[model]
    return [sys.executable, "-m", "wsislib.cli", "train", str(FOLDER / "train.json"), *options]


@needs_photographs
@pytest.mark.parametrize("model", MODELS)
def test_killed_training_ends_with_the_weights_of_one_left_in_peace(tmp_path, capsys, model):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = command(killed, model)
    with subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL) as training:
        deadline = time.monotonic() + 120
        while not (killed / "checkpoints" / "step-2.json").exists():
            assert training.poll() is None, "training ended before it could be killed"
            assert time.monotonic() < deadline, "no checkpoint came"
            time.sleep(0.01)
        training.send_signal(signal.SIGKILL)
    assert not (killed / "checkpoints" / "final.safetensors").exists()
    for folder in (killed, whole):
        subprocess.run(command(folder, model), env=environment, check=True, capture_output=True)
    ends = [(f / "checkpoints" / "final.safetensors").read_bytes() for f in (killed, whole)]
    assert ends[0] == ends[1]

    assert photos.evaluate(killed, FOLDER / "val.json", first=3, device="cpu") == 0
    assert "AP50" in capsys.readouterr().out
    numbers = json.loads((killed / "evaluation-val.json").read_text())
    assert len(numbers["segm"]) == 12 and len(numbers["bbox"]) == 12
