"""Two processes started by torchrun train as one process with the whole batch does."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tests.numeric import close
from wsislib.engine.batches import batches
from wsislib.engine.config import TrainConfig
from wsislib.engine.distributed import join_process_group
from wsislib.engine.train import fit

CONFIG = {"steps": 6, "batch_size": 4, "precision": "float32", "log_every": 1}
HALVES = "two halves of a batch are summed apart, and then added"
SCRIPT = Path(__file__).with_name("team_run.py")


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict]]:
    """What each of two processes came to, and the folder they worked in."""
    folder = tmp_path_factory.mktemp("team")
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [sys.executable, *launch, str(SCRIPT), str(folder), json.dumps(CONFIG)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment)
    assert done.returncode == 0, done.stderr
    return folder, [torch.load(folder / f"rank-{rank}.pt") for rank in (0, 1)]


@pytest.mark.slow
def test_gradients_are_those_of_one_process_at_twice_the_batch(
    said: tuple[Path, list[dict]], tiny: SimpleNamespace
) -> None:
    _, (first, second) = said
    model = tiny.model(norm=False, dropout=0.0)
    batch = next(batches(tiny.dataset(), TrainConfig.from_dict(CONFIG)))
    assert len(batch) == 2 * len(first["image_ids"]) == 4
    assert sorted(first["image_ids"] + second["image_ids"]) == sorted(s.image_id for s in batch)
    sum(model.losses(batch).values()).backward()
    for name, parameter in model.named_parameters():
        assert torch.equal(first["gradients"][name], second["gradients"][name])
        close(first["gradients"][name], parameter.grad, HALVES)
        assert parameter.grad.abs().max() > 1e-3


@pytest.mark.slow
def test_whole_run_is_that_of_one_process(
    said: tuple[Path, list[dict]], tiny: SimpleNamespace, tmp_path: Path
) -> None:
    _, (first, second) = said
    model = tiny.model(norm=False, dropout=0.0)
    config = TrainConfig.from_dict(CONFIG)
    alone = fit(model, tiny.dataset(), config, tmp_path, device="cpu", progress=False)
    for name, value in model.state_dict().items():
        assert torch.equal(first["weights"][name], second["weights"][name])
        close(first["weights"][name], value, HALVES)
    for ours, theirs in zip(first["history"], alone.history, strict=True):
        for name in ("step", "lr", "loss_tag", "loss_size", "total", "gradient_norm"):
            close(ours[name], theirs[name], HALVES, rtol=1e-4)


@pytest.mark.slow
def test_one_process_writes_and_all_stop_together(said: tuple[Path, list[dict]]) -> None:
    folder, (first, second) = said
    names = {path.name for path in (folder / "run" / "checkpoints").iterdir()}
    assert names == {"final.json", "final.safetensors", "step-6.json", "step-6.safetensors"}
    # One process read the image that is not a number; both name the whole batch.
    step, image_ids = first["error"]
    assert second["error"] == (step, image_ids)
    assert 100 in image_ids
    assert len(image_ids) == 4


def test_alone_without_torchrun() -> None:
    group = join_process_group(torch.device("cpu"))
    assert (group.rank, group.world, group.is_main) == (0, 1, True)
    assert group.any(True)
    assert not group.any(False)
    assert group.gather("x") == ["x"]
