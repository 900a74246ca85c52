"""A training that is looked at: the same training, and after a kill no look is missing."""

import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from wsislib.engine.config import TrainConfig
from wsislib.engine.errors import Interrupted
from wsislib.engine.history import TIMING_COLUMNS, read_history
from wsislib.engine.train import fit

CONFIG = TrainConfig.from_dict(
    {"steps": 9, "batch_size": 4, "precision": "float32", "log_every": 2, "checkpoint_every": 4}
)


def final(folder: Path) -> bytes:
    return (folder / "checkpoints" / "final.safetensors").read_bytes()


def untimed(folder: Path) -> list[dict]:
    rows = read_history(folder / "history.csv")
    return [{k: v for k, v in row.items() if k not in TIMING_COLUMNS} for row in rows]


def train(model, data, folder: Path, look=None, **how):
    return fit(model, data, CONFIG, folder, device="cpu", progress=False, after_step=look, **how)


def test_a_look_changes_nothing(tmp_path: Path, tiny: SimpleNamespace, monkeypatch) -> None:
    train(tiny.model(), tiny.dataset(), tmp_path / "plain")
    model, seen, clock = tiny.model(), [], [0.0]
    monkeypatch.setattr("wsislib.engine.record.time.perf_counter", lambda: clock[0])

    def look(step: int) -> None:
        assert model.training
        model.eval()
        torch.rand(3)
        seen.append((step, model.conv.weight.detach().clone()))
        clock[0] += 1000

    fitted = train(model, tiny.dataset(), tmp_path / "seen", look)
    assert [step for step, _ in seen] == list(range(1, 10))
    assert len({tuple(weight.flatten().tolist()) for _, weight in seen}) == 9
    assert torch.equal(seen[-1][1], model.conv.weight), "the look comes after the step"
    assert final(tmp_path / "seen") == final(tmp_path / "plain")
    assert untimed(tmp_path / "seen") == untimed(tmp_path / "plain")
    assert fitted.seconds == 0, "looking is not training"


@pytest.mark.parametrize("kill", ["before the save", "after it"])
def test_no_look_is_missing_after_a_kill(tmp_path: Path, tiny: SimpleNamespace, kill: str) -> None:
    model, seen = tiny.model(), {}

    def look(step: int) -> None:
        if step == 6 and kill == "before the save" and step not in seen:
            seen[step] = None
            raise KeyboardInterrupt
        if step == 6 and kill == "after it":
            os.kill(os.getpid(), signal.SIGTERM)
        seen[step] = model.conv.weight.detach().clone()

    with pytest.raises((KeyboardInterrupt, Interrupted)):
        train(model, tiny.dataset(), tmp_path / "parts", look)
    model = tiny.model(seed=4)
    train(model, tiny.dataset(), tmp_path / "parts", look)
    whole: dict[int, torch.Tensor] = {}
    other = tiny.model()
    train(
        other, tiny.dataset(), tmp_path / "whole",
        lambda step: whole.update({step: other.conv.weight.detach().clone()}),
    )  # fmt: skip
    assert set(seen) == set(whole) == set(range(1, 10))
    assert all(torch.equal(seen[step], whole[step]) for step in whole)
    assert final(tmp_path / "parts") == final(tmp_path / "whole")
