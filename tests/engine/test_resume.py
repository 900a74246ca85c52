"""A run that was killed ends as if nothing had happened."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from wsislib.engine.config import TrainConfig
from wsislib.engine.errors import CheckpointWarning, Interrupted
from wsislib.engine.history import TIMING_COLUMNS, read_history
from wsislib.engine.train import fit

RUN = Path(__file__).with_name("tiny_run.py")
CONFIG = {
    "steps": 14,
    "batch_size": 4,
    "precision": "float32",
    "flip": True,
    "log_every": 4,
    "checkpoint_every": 3,
    "warmup_steps": 5,
    "schedule": "cosine",
}


@pytest.fixture(autouse=True)
def _one_thread():  # type: ignore[no-untyped-def]
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def untimed(folder: Path) -> list[dict]:
    rows = read_history(folder / "history.csv")
    return [{k: v for k, v in row.items() if k not in TIMING_COLUMNS} for row in rows]


def weights(folder: Path) -> bytes:
    return (folder / "checkpoints" / "final.safetensors").read_bytes()


def killed_run(folder: Path, *options: str) -> None:
    command = [sys.executable, str(RUN), str(folder), json.dumps(CONFIG), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_bit_for_bit_after_two_sigkills(tmp_path: Path, tiny: SimpleNamespace) -> None:
    config = TrainConfig.from_dict(CONFIG)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    fit(tiny.model(), tiny.dataset(), config, whole, device="cpu", progress=False)

    killed_run(parts, "--die-after-images", "34")  # in step 9; step 6 is saved, row 8 written
    assert [row["step"] for row in untimed(parts)] == [4, 8]
    killed_run(parts, "--die-before-sidecar", "12")
    assert (parts / "checkpoints" / "step-12.safetensors").exists()
    model = tiny.model(seed=5)  # every weight must come from the checkpoint
    with pytest.warns(CheckpointWarning, match=r"step-12\.safetensors.*never finished"):
        result = fit(model, tiny.dataset(), config, parts, device="cpu", progress=False)

    assert result.steps == 14
    assert weights(parts) == weights(whole)
    assert untimed(parts) == untimed(whole)
    assert sorted(p.name for p in (parts / "checkpoints").iterdir()) == [
        "final.json", "final.safetensors", "step-12.json", "step-12.safetensors",
        "step-14.json", "step-14.safetensors",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"optimiser": "adamw", "learning_rate": 1e-3, "bias_lr_factor": 2.0},
        {"precision": "bf16", "clip_norm": 0.5},
        {"momentum": 0.0, "schedule": "step", "decay_steps": [4, 9]},
    ],
    ids=["adamw", "bf16", "plain-sgd"],
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_goes_on_bit_for_bit(
    tmp_path: Path, tiny: SimpleNamespace, changes: dict, number: signal.Signals
) -> None:
    config = TrainConfig.from_dict({**CONFIG, **changes})
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    fit(tiny.model(), tiny.dataset(), config, whole, device="cpu", progress=False)

    def knock(sample, generator):  # type: ignore[no-untyped-def]
        knock.calls += 1
        if knock.calls == 18:  # in step 5
            os.kill(os.getpid(), number)
        return sample

    knock.calls = 0  # type: ignore[attr-defined]
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(Interrupted, match=r"after step 5 of 14.*same command again"):
        fit(
            tiny.model(), tiny.dataset(), config, parts, device="cpu", progress=False,
            augment=knock,
        )  # fmt: skip
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert (parts / "checkpoints" / "step-5.json").exists()
    fit(tiny.model(seed=9), tiny.dataset(), config, parts, device="cpu", progress=False)
    assert weights(parts) == weights(whole)
    assert untimed(parts) == untimed(whole)


def test_finished_run_is_not_done_again(tmp_path: Path, tiny: SimpleNamespace) -> None:
    config = TrainConfig.from_dict(CONFIG)
    first = fit(tiny.model(), tiny.dataset(), config, tmp_path, device="cpu", progress=False)

    def never(sample, generator):  # type: ignore[no-untyped-def]
        raise AssertionError("no image is needed")

    model = tiny.model(seed=3)
    again = fit(
        model, tiny.dataset(), config, tmp_path, device="cpu", progress=False, augment=never
    )
    assert (again.steps, again.seconds, again.history) == (14, first.seconds, first.history)
    assert model.norm.num_batches_tracked == 14


def test_step_schedule_may_be_made_longer(tmp_path: Path, tiny: SimpleNamespace) -> None:
    settings = {**CONFIG, "schedule": "step"}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    long, short = (TrainConfig.from_dict({**settings, "steps": n}) for n in (14, 8))
    for config, folder in ((long, whole), (short, parts), (long, parts)):
        fit(tiny.model(), tiny.dataset(), config, folder, device="cpu", progress=False)
    assert weights(parts) == weights(whole)
    with pytest.raises(ValueError, match="already done 14 steps, more than the 8 asked for"):
        fit(tiny.model(), tiny.dataset(), short, parts, device="cpu", progress=False)


def test_no_step_at_all(tmp_path: Path, tiny: SimpleNamespace) -> None:
    model = tiny.model()
    config = TrainConfig(steps=0, precision="float32")
    result = fit(model, tiny.dataset(), config, tmp_path, device="cpu", progress=False)
    assert (result.steps, result.history) == (0, [])
    assert weights(tmp_path)
    pairs = zip(model.parameters(), tiny.model().parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
