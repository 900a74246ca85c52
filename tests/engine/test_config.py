"""A config says exactly what it was told, or what is wrong with it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsislib.engine.config import TrainConfig


@given(
    steps=st.integers(1, 10**6), rate=st.floats(0, 10), seed=st.integers(0, 2**62),
    decay=st.lists(st.integers(1, 100), max_size=3), weight=st.floats(0, 5),
)  # fmt: skip
def test_dictionary_round_trip(
    steps: int, rate: float, seed: int, decay: list[int], weight: float
) -> None:
    config = TrainConfig(
        steps=steps, learning_rate=rate, seed=seed, decay_steps=tuple(decay),
        loss_weights={"loss_mask": weight},
    )  # fmt: skip
    again = TrainConfig.from_dict(config.to_dict())
    assert again == config


def test_only_what_matters_is_decisive() -> None:
    base = TrainConfig(steps=10)
    assert base.decisive() == TrainConfig(steps=10, workers=3, checkpoint_every=7).decisive()
    changed = [{"seed": 1}, {"flip": False}, {"log_every": 5}, {"loss_weights": {"a": 1.0}}]
    for change in changed:
        assert TrainConfig.from_dict({"steps": 10, **change}).decisive() != base.decisive()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": 0.1}, "unknown key 'lr'"),
        ({"learning_rte": 0.1}, "did you mean 'learning_rate'"),
        ({"batch_size": 0}, "batch_size is 0; use a whole number from 1"),
        ({"batch_size": 2.0}, "batch_size is 2.0"),
        ({"batch_size": True}, "batch_size is True"),
        ({"seed": -1}, "seed is -1; use a whole number from 0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"learning_rate": "0.02"}, "learning_rate is '0.02'"),
        ({"optimiser": "adam"}, "optimiser is 'adam'; use 'sgd' or 'adamw'"),
        ({"precision": "fp16"}, "use 'bf16' or 'float32'"),
        ({"flip": 1}, "flip is 1; use true or false"),
        ({"decay_steps": [5, 0]}, "decay_steps is 0"),
        ({"loss_weights": {"loss_mask": -1.0}}, r"loss_weights\['loss_mask'\] is -1.0"),
    ],
)
def test_mistakes_are_named(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainConfig.from_dict({"steps": 10, **change})


def test_steps_must_be_said() -> None:
    with pytest.raises(ValueError, match="'steps' is missing"):
        TrainConfig.from_dict({})
