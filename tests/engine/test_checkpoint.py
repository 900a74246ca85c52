"""Damage is noticed and stepped around; somebody else's checkpoint is refused."""

import errno
import os
import resource
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from wsislib.engine.checkpoint import Progress, load_newest, save_checkpoint
from wsislib.engine.config import TrainConfig
from wsislib.engine.errors import CheckpointWarning
from wsislib.engine.history import Window
from wsislib.engine.optimise import build_optimiser
from wsislib.engine.train import fit
from wsislib.engine.weights import load_weights, save_weights

CONFIG = TrainConfig(steps=6, batch_size=4, precision="float32", checkpoint_every=2, log_every=2)
RUN = {"seed": 0}


def trained(model: nn.Module, value: float = 1.0) -> torch.optim.Optimizer:
    """An optimiser that has made one step, so that it has a state."""
    optimiser = build_optimiser(model, CONFIG)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, value)
    optimiser.step()
    return optimiser


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A folder with checkpoints of steps 2 and 4; weights at step n follow from seed n."""
    for step in (2, 4):
        torch.manual_seed(step)
        model = nn.Linear(3, 2)
        window = Window(1, {"loss": 0.1 + step}, {"loss": 1}, 0.25)
        progress = Progress(step, 1.5, 20.0, window)
        save_checkpoint(tmp_path, model, trained(model, step), progress, RUN)
    return tmp_path


def test_everything_comes_back(two: Path) -> None:
    model = nn.Linear(3, 2)
    optimiser = build_optimiser(model, CONFIG)
    progress = load_newest(two, model, optimiser, RUN)
    assert progress == Progress(4, 1.5, 20.0, Window(1, {"loss": 4.1}, {"loss": 1}, 0.25))
    torch.manual_seed(4)
    wanted = nn.Linear(3, 2)
    other = trained(wanted, 4.0)
    for name in ("weight", "bias"):
        ours, theirs = getattr(model, name), getattr(wanted, name)
        assert torch.equal(ours, theirs)
        momentum = [o.state[p]["momentum_buffer"] for o, p in ((optimiser, ours), (other, theirs))]
        assert torch.equal(*momentum)


def test_empty_folder_starts_at_the_beginning(tmp_path: Path) -> None:
    model = nn.Linear(3, 2)
    assert load_newest(tmp_path / "none", model, build_optimiser(model, CONFIG), RUN) is None


def test_only_the_newest_two_are_kept(two: Path) -> None:
    model = nn.Linear(3, 2)
    save_checkpoint(two, model, trained(model), Progress(6), RUN)
    assert {path.stem for path in two.iterdir()} == {"step-4", "step-6"}
    # A run that went back writes step 5: what lay ahead of it is a dead branch.
    save_checkpoint(two, model, trained(model), Progress(5), RUN)
    assert {path.stem for path in two.iterdir()} == {"step-4", "step-5"}


@pytest.mark.parametrize("suffix", ["safetensors", "json"])
@pytest.mark.parametrize("damage", ["truncated", "empty", "missing"])
def test_damaged_checkpoint_falls_back_and_is_named(two: Path, suffix: str, damage: str) -> None:
    path = two / f"step-4.{suffix}"
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content[: len(content) // 2] if damage == "truncated" else b"")
    assert_falls_back(two)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), tensors=st.booleans())
def test_any_flipped_bit_is_noticed(two: Path, place: float, bit: int, tensors: bool) -> None:
    path = two / ("step-4.safetensors" if tensors else "step-4.json")
    content = path.read_bytes()
    changed = bytearray(content)
    changed[int(place * len(content))] ^= 1 << bit
    path.write_bytes(changed)
    try:
        assert_falls_back(two)
    finally:
        path.write_bytes(content)


def assert_falls_back(folder: Path) -> None:
    model = nn.Linear(3, 2)
    with pytest.warns(
        CheckpointWarning, match=r"step-4\.(safetensors|json).*the checkpoint before"
    ):
        progress = load_newest(folder, model, build_optimiser(model, CONFIG), RUN)
    assert progress is not None
    assert progress.step == 2
    torch.manual_seed(2)
    wanted = nn.Linear(3, 2)
    trained(wanted, 2.0)
    assert torch.equal(model.weight, wanted.weight)


def test_checkpoint_of_another_model_is_refused(two: Path) -> None:
    model = nn.Linear(5, 2)
    message = r"step-4\.safetensors: weights of another model \(weight is \(2, 3\).*\(2, 5\)"
    with pytest.raises(ValueError, match=message):
        load_newest(two, model, build_optimiser(model, CONFIG), RUN)
    with pytest.raises(
        ValueError, match=r"bias is only in the file; .*only in the model and 1 more"
    ):
        load_newest(two, nn.Sequential(model), build_optimiser(model, CONFIG), RUN)


def test_checkpoint_of_another_run_is_refused(two: Path) -> None:
    model = nn.Linear(3, 2)
    with pytest.raises(ValueError, match=r"step-4\.safetensors.*seed was 0 and is 1 now.*another"):
        load_newest(two, model, build_optimiser(model, CONFIG), {"seed": 1})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": 0.5}, "learning_rate was 0.02 and is 0.5 now"),
        ({"loss_weights": {"loss_tag": 2.0}}, "loss_weights was {} and is"),
    ],
)
def test_fit_refuses_to_go_on_with_another_config(
    tmp_path: Path, tiny: SimpleNamespace, change: dict, message: str
) -> None:
    fit(tiny.model(), tiny.dataset(), CONFIG, tmp_path, device="cpu", progress=False)
    before = snapshot(tmp_path)
    other = TrainConfig.from_dict({**CONFIG.to_dict(), **change})
    with pytest.raises(ValueError, match=message):
        fit(tiny.model(), tiny.dataset(), other, tmp_path, device="cpu", progress=False)
    frozen = tiny.model()
    frozen.conv.requires_grad_(False)
    with pytest.raises(ValueError, match="trained_parameters was '6 of 6"):
        fit(frozen, tiny.dataset(), CONFIG, tmp_path, device="cpu", progress=False)
    with pytest.raises(ValueError, match="data was '10 images"):
        fit(tiny.model(), tiny.dataset(11), CONFIG, tmp_path, device="cpu", progress=False)
    assert snapshot(tmp_path) == before


def test_fit_goes_on_with_other_workers_and_checkpoint_interval(
    tmp_path: Path, tiny: SimpleNamespace
) -> None:
    fit(tiny.model(), tiny.dataset(), CONFIG, tmp_path, device="cpu", progress=False)
    other = TrainConfig.from_dict({**CONFIG.to_dict(), "checkpoint_every": 5, "workers": 1})
    assert other.decisive() == CONFIG.decisive()
    assert fit(tiny.model(), tiny.dataset(), other, tmp_path, device="cpu", progress=False)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("how", ["no-space", "file-size-limit"])
def test_full_disk_names_the_file_and_spares_the_checkpoint_before(
    tmp_path: Path, tiny: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    def fill(sample, generator):  # type: ignore[no-untyped-def]
        """At step 3 the disk fills up; the checkpoint of step 4 no longer fits."""
        fill.calls += 1
        if fill.calls == 9 and how == "no-space":
            monkeypatch.setattr(os, "fsync", no_space)
        elif fill.calls == 9:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
        return sample

    def no_space(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    fill.calls = 0  # type: ignore[attr-defined]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    config = TrainConfig.from_dict({**CONFIG.to_dict(), "log_every": 100})
    try:
        with pytest.raises(OSError, match=r"could not write.*start again.*step-4\.safetensors"):
            fit(
                tiny.model(), tiny.dataset(), config, tmp_path, device="cpu", progress=False,
                augment=fill,
            )  # fmt: skip
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        monkeypatch.undo()
    names = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert names == {"step-2.safetensors", "step-2.json"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = fit(tiny.model(), tiny.dataset(), config, tmp_path, device="cpu", progress=False)
    assert result.steps == 6


def test_weights_round_trip_and_refusals(tmp_path: Path) -> None:
    path = tmp_path / "head.safetensors"
    tied = nn.Linear(2, 2)
    tied.weight.data = tied.weight.data.t()  # not contiguous
    save_weights(path, tied, {"note": "ours"})
    other = nn.Linear(2, 2)
    assert load_weights(path, other)["note"] == "ours"
    assert torch.equal(other.weight, tied.weight)
    with pytest.raises(ValueError, match=r"head\.safetensors: weights of another model"):
        load_weights(path, nn.Linear(3, 2))
    path.with_suffix(".json").unlink()
    with pytest.raises(ValueError, match=r"head\.json is missing"):
        load_weights(path, other)
