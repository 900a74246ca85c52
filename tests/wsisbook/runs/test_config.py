"""Settings: their identity, and that they are those of the engine."""

from dataclasses import MISSING, fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsisbook.runs.config import (
    EXECUTION,
    RunConfig,
    as_settings,
    config_from,
    differences,
    digest,
    identity,
)
from wsislib.engine.config import TrainConfig

DEFAULTS = as_settings(RunConfig())


def test_training_settings_are_the_engines() -> None:
    ours = {field.name: field.default for field in fields(RunConfig)}
    engine = {field.name: field.default for field in fields(TrainConfig)}
    assert set(ours) == set(engine) - {"seed"}
    for name, default in engine.items():
        if name not in ("seed", "steps") and default is not MISSING:
            assert ours[name] == default, name


def test_what_the_engine_calls_decisive_is_our_identity() -> None:
    assert set(identity(DEFAULTS)) == set(TrainConfig(steps=1).decisive()) - {"seed"}
    assert set(EXECUTION) == set(DEFAULTS) - set(identity(DEFAULTS))


@settings(deadline=None, max_examples=30)
@given(
    steps=st.integers(0, 10**6),
    rate=st.floats(0, 1),
    decay=st.lists(st.integers(1, 99), max_size=3),
)
def test_settings_survive_json_and_equal_themselves(
    steps: int, rate: float, decay: list[int]
) -> None:
    given_settings = {"steps": steps, "learning_rate": rate, "decay_steps": decay}
    config = config_from(RunConfig, given_settings, "test")
    stored = as_settings(config)
    assert config_from(RunConfig, stored, "test") == config
    assert differences(stored, as_settings(config), DEFAULTS) == []


@pytest.mark.parametrize("name", sorted(identity(DEFAULTS)))
def test_every_setting_that_counts_changes_the_hash(name: str) -> None:
    changed = {**DEFAULTS, name: "something else"}
    assert digest(identity(changed)) != digest(identity(DEFAULTS))
    assert [text.partition(":")[0] for text in differences(DEFAULTS, changed, DEFAULTS)] == [name]


def test_how_a_run_is_carried_out_is_not_its_identity() -> None:
    changed = {**DEFAULTS, "workers": 8, "checkpoint_every": 7}
    assert digest(identity(changed)) == digest(identity(DEFAULTS))
    assert differences(DEFAULTS, changed, DEFAULTS) == []


def test_an_option_born_later_does_not_make_old_runs_stale() -> None:
    old = {key: value for key, value in DEFAULTS.items() if key != "clip_norm"}
    assert differences(old, DEFAULTS, DEFAULTS) == []
    assert differences(old, {**DEFAULTS, "clip_norm": 1.0}, DEFAULTS) == ["clip_norm: 0.0 -> 1.0"]
    gone = {**DEFAULTS, "tempo": 3}
    assert differences(gone, DEFAULTS, DEFAULTS) == ["tempo: 3 -> no such setting"]


def test_settings_are_strict_but_for_whole_floats() -> None:
    config = config_from(RunConfig, {"learning_rate": 5, "loss_weights": {"mask": 2}}, "row")
    assert str(config.learning_rate) == "5.0" and str(config.loss_weights) == "{'mask': 2.0}"


@pytest.mark.parametrize(
    ("key", "value"),
    [("steps", 1.5), ("steps", 1.0), ("steps", "3"), ("steps", True), ("flip", 1), ("flip", "yes"),
     ("learning_rate", "0.1"), ("learning_rate", True), ("decay_steps", 3), ("decay_steps", [1.5]),
     ("loss_weights", {"mask": "2"}), ("loss_weights", [2]), ("schedule", 1), ("steps", None)],
)  # fmt: skip
def test_a_value_of_another_type_is_refused(key: str, value: object) -> None:
    with pytest.raises(
        ValueError, match=rf"^row\.{key}.*: (input should be .*, not|unknown value) "
    ):
        config_from(RunConfig, {key: value}, "row")
