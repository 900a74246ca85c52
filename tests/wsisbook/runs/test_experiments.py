"""An experiment's settings are read without its code; that is imported when it runs."""

from pathlib import Path

import pytest
from torch import nn

from wsisbook.runs.config import RunConfig
from wsisbook.runs.experiments import Context, Experiment, experiment


def test_a_run_given_as_text_is_imported_when_it_is_called(study_root: Path) -> None:
    from fake_experiment_for_tests import FakeConfig

    kind = Experiment(FakeConfig, "fake_experiment_for_tests:run_fake", lambda config: ())
    assert kind.run(Context(FakeConfig(value=2.0), 1, study_root)).metrics["segm"]["B"]["AP"] == 2.1


def test_code_that_is_not_there_is_named(tmp_path: Path) -> None:
    kind = Experiment(RunConfig, "no_such_module:run", lambda config: ())
    with pytest.raises(ValueError, match="no_such_module:run: cannot load it"):
        kind.run(Context(RunConfig(), 0, tmp_path))
    with pytest.raises(ValueError, match="'listed': pathlib:Path is not an Experiment"):
        experiment("listed", {"listed": "pathlib:Path"})
    with pytest.raises(ValueError, match="wsisbook:GONE: cannot load it"):
        experiment("wsisbook:GONE", {})


def test_training_without_steps_says_where_to_set_them(tmp_path: Path) -> None:
    from wsisbook.experiments.training import train_model

    with pytest.raises(ValueError, match="steps is 0, its default.*set 'steps' for this scale"):
        train_model(Context(RunConfig(), 0, tmp_path), nn.Identity(), [])
