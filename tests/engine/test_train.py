"""The loop does what a loop written by hand does, and leaves the world as it found it."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tests.numeric import close
from wsislib.engine.batches import epoch_order
from wsislib.engine.config import TrainConfig
from wsislib.engine.errors import NonFiniteLoss
from wsislib.engine.history import read_history
from wsislib.engine.seeds import Purpose, derive_seed
from wsislib.engine.train import fit
from wsislib.engine.weights import load_weights

CONFIG = {"steps": 6, "batch_size": 4, "precision": "float32", "flip": False, "log_every": 2}


def config(**changes: object) -> TrainConfig:
    return TrainConfig.from_dict({**CONFIG, **changes})


def test_equals_a_bare_loop(tmp_path: Path, tiny: SimpleNamespace) -> None:
    data, settings = tiny.dataset(), config(learning_rate=0.1, log_every=1)
    ours = tiny.model()
    result = fit(ours, data, settings, tmp_path, device="cpu", progress=False)

    bare = tiny.model().train()
    sgd = torch.optim.SGD(bare.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    totals = []
    with torch.random.fork_rng():
        for step in range(6):
            order = [p for epoch in range(3) for p in epoch_order(10, 0, epoch)]
            batch = [data[i] for i in order[4 * step : 4 * step + 4]]
            torch.manual_seed(derive_seed(0, Purpose.MODEL, step, 0))
            loss = sum(bare.losses(batch).values())
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            totals.append(loss.item())
    for name, value in bare.state_dict().items():
        assert torch.equal(value, ours.state_dict()[name]), name
    logged = [row["total"] for row in result.history]
    close(logged, totals, "the engine adds the losses by a stacked sum, the bare loop one by one")


def test_leaves_global_generator_and_modes_as_found(tmp_path: Path, tiny: SimpleNamespace) -> None:
    model = tiny.model().eval()
    model.conv.train()
    before = torch.get_rng_state()
    fit(model, tiny.dataset(), config(), tmp_path, device="cpu", progress=False)
    assert torch.equal(torch.get_rng_state(), before)
    assert (model.training, model.conv.training, model.norm.training) == (False, True, False)


def test_result_history_and_final_weights_agree(tmp_path: Path, tiny: SimpleNamespace) -> None:
    model = tiny.model()
    result = fit(model, tiny.dataset(), config(steps=5), tmp_path, device="cpu", progress=False)
    assert [row["step"] for row in result.history] == [2, 4, 5]
    assert read_history(tmp_path / "history.csv") == result.history
    header = (tmp_path / "history.csv").read_text().splitlines()[0]
    assert header == ("step,lr,loss_size,loss_tag,total,gradient_norm,images_per_second,seconds")
    assert (result.steps, result.images_per_second > 0) == (5, True)
    assert 0 < result.seconds < 60
    assert result.peak_memory_mib > 50
    other = tiny.model(seed=1)
    meta = load_weights(tmp_path / "checkpoints" / "final.safetensors", other)
    assert meta["step"] == 5
    for name, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])


def test_learns_and_frozen_parameters_stay(tmp_path: Path, tiny: SimpleNamespace) -> None:
    model = tiny.model(dropout=0.0)
    model.conv.requires_grad_(False)
    frozen = model.conv.weight.clone()
    result = fit(
        model, tiny.dataset(), config(steps=60, log_every=10, loss_weights={"loss_size": 0.0}),
        tmp_path, device="cpu", progress=False,
    )  # fmt: skip
    assert torch.equal(model.conv.weight, frozen)
    assert result.history[-1]["loss_tag"] < 0.2 * result.history[0]["loss_tag"]


def test_loss_weights_and_clipping(tmp_path: Path, tiny: SimpleNamespace) -> None:
    settings = config(steps=1, loss_weights={"loss_size": 0.0}, clip_norm=1e-3, weight_decay=0.0)
    model, start = tiny.model(), tiny.model()
    row = fit(model, tiny.dataset(), settings, tmp_path, device="cpu", progress=False).history[0]
    assert row["total"] == pytest.approx(row["loss_tag"])
    moved = torch.nn.utils.get_total_norm(
        [a - b for a, b in zip(model.parameters(), start.parameters(), strict=True)]
    )
    assert row["gradient_norm"] > 1e-3
    why = "weights hold seven digits, and they moved in the fifth to eighth"
    close(moved.item(), 0.02 * 1e-3, why, rtol=1e-3, atol=0)


def test_unknown_loss_weight_is_named(tmp_path: Path, tiny: SimpleNamespace) -> None:
    settings = config(loss_weights={"loss_tags": 2.0})
    with pytest.raises(ValueError, match=r"loss_tags.*loss_tag, loss_size"):
        fit(tiny.model(), tiny.dataset(), settings, tmp_path, device="cpu", progress=False)


def test_bf16_trains_near_float32(tmp_path: Path, tiny: SimpleNamespace) -> None:
    totals = [
        fit(
            tiny.model(), tiny.dataset(), config(precision=precision), tmp_path / precision,
            device="cpu", progress=False,
        ).history[0]["total"]
        for precision in ("float32", "bf16")
    ]  # fmt: skip
    assert totals[0] != totals[1]
    assert totals[0] == pytest.approx(totals[1], rel=0.05)


def test_infinite_gradient_of_a_finite_loss_stops_too(
    tmp_path: Path, tiny: SimpleNamespace
) -> None:
    model = tiny.model()
    losses = model.losses
    model.losses = lambda batch: {"loss_root": (losses(batch)["loss_tag"] * 0).sqrt()}
    with pytest.raises(NonFiniteLoss, match=r"step 1: .*loss_root 0, total 0, gradient_norm nan"):
        fit(model, tiny.dataset(), config(), tmp_path, device="cpu", progress=False)
    assert all(p.isfinite().all() for p in model.parameters())
    assert not (tmp_path / "checkpoints").exists()
    model.losses = lambda batch: {}
    with pytest.raises(ValueError, match="no loss at all"):
        fit(model, tiny.dataset(), config(), tmp_path, device="cpu", progress=False)


def test_non_finite_loss_names_step_terms_and_images(tmp_path: Path, tiny: SimpleNamespace) -> None:
    class Breaks(type(tiny.model())):  # type: ignore[misc]
        calls = 0

        def losses(self, batch):  # type: ignore[no-untyped-def]
            self.calls += 1
            terms = super().losses(batch)
            factor = float("nan") if self.calls == 4 else 1.0
            return {**terms, "loss_size": terms["loss_size"] * factor}

    model = Breaks()
    settings = config(checkpoint_every=3)
    with pytest.raises(NonFiniteLoss) as caught:
        fit(model, tiny.dataset(), settings, tmp_path, device="cpu", progress=False)
    order = [p for epoch in range(2) for p in epoch_order(10, 0, epoch)]
    ids = tuple(100 + 3 * i for i in order[12:16])
    assert caught.value.step == 4
    assert caught.value.image_ids == ids
    assert "loss_size nan" in str(caught.value)
    assert str(list(ids)) in str(caught.value)
    assert all(p.isfinite().all() for p in model.parameters())
    assert (tmp_path / "checkpoints" / "step-3.json").exists()
    assert not (tmp_path / "checkpoints" / "step-4.json").exists()


def test_a_models_statistics_are_logged_and_not_learnt_from(
    tmp_path: Path, tiny: SimpleNamespace
) -> None:
    class Says(type(tiny.model())):  # type: ignore[misc]
        calls = 0

        def statistics(self) -> dict[str, float]:
            self.calls += 1
            rare = {"tag.points": 7.0} if self.calls == 2 else {}
            return {"box.share": float(self.calls), "loss_tag": -1.0, **rare}

    says, silent = Says(), tiny.model()
    says.load_state_dict(silent.state_dict())
    rows = [
        fit(
            model, tiny.dataset(), config(steps=4), tmp_path / str(place),
            device="cpu", progress=False,
        ).history
        for place, model in enumerate((says, silent))
    ]  # fmt: skip
    assert [row["box.share"] for row in rows[0]] == [1.5, 3.5]
    assert [row.get("tag.points") for row in rows[0]] == [7.0, None]
    assert read_history(tmp_path / "0" / "history.csv") == rows[0]
    for ours, plain in zip(*rows, strict=True):
        for name in ("loss_tag", "loss_size", "total"):
            assert ours[name] == plain[name]
