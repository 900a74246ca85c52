"""An experiment that does nothing but note that it was done; needs no torch."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from wsisbook.runs.config import RunConfig
from wsisbook.runs.experiments import Context, Experiment, Outcome


@dataclass(frozen=True)
class FakeConfig(RunConfig):
    value: float = 0.0
    fail: bool = False
    gate: str = ""
    labels: str = ""


def run_fake(context: Context) -> Outcome:
    """Note the start, wait for the file `gate` if one is named, give `value` + seed / 10."""
    config = context.config
    half_done = context.folder / "half-done"
    resumed = half_done.exists()
    half_done.touch()  # before the log, which tests wait for to kill the run
    with open(os.environ["FAKE_LOG"], "a", encoding="utf-8") as log:
        log.write(f"{config.value} {context.seed} {os.getpid()}\n")
    deadline = time.monotonic() + 60
    while config.gate and not Path(config.gate).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    if config.fail:
        raise ValueError(f"this row was told to fail: {config.value}")
    history = context.folder / "history.csv"
    history.write_text("step,loss\n1,0.5\n", encoding="utf-8")
    weights = context.folder / "final.safetensors"
    weights.write_bytes(b"weights")
    needed = sum(float((folder / "metrics.json").exists()) for folder in context.needs.values())
    return Outcome(
        metrics={"segm": {"B": {"AP": config.value + context.seed / 10}}, "needed": needed},
        data={"train": "feed" * 16},
        device="cpu: fake",
        examples=[{"image_id": 1, "category_id": 1, "score": 0.5}],
        files={"history.csv": history},
        weights={"final.safetensors": weights},
        notes={"resumed": resumed},
    )


FAKE = Experiment(FakeConfig, run_fake, lambda config: ("engine", "evaluation"))
