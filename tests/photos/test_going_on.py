"""More steps, another rate, a loss that is not finite: each message's command is tried."""

import shlex

import pytest

from tests.photos import own_folder
from wsislib import cli
from wsislib.engine import train as engine_train
from wsislib.photos.recipe import read_recipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return own_folder.draw(tmp_path_factory.mktemp("own") / "data")


def command_in(text: str) -> list[str]:
    """The words of the command that a message shows, without `wsis`."""
    (shown,) = [part for part in text.split("`") if part.startswith("wsis train ")]
    return shlex.split(shown)[1:]


def test_more_steps_are_another_training(folder, tmp_path, capsys):
    out = tmp_path / "a model"
    own_folder.train(folder, out)
    with pytest.raises(ValueError, match=r"planned with --steps 2 \(it has ended\), now --st") as e:
        own_folder.train(folder, out, steps=4)
    words = command_in(str(e.value))
    assert words[1:4] == [str(folder / "annotations.json"), "--out", f"{out}-2"]
    assert "--start" not in words
    assert cli.main(words) == 0
    assert "trained 4 steps" in capsys.readouterr().out
    assert read_recipe(tmp_path / "a model-2").start == "own"
    assert own_folder.train(folder, out) == 0  # the settings of before


def poisoned(monkeypatch, at: int) -> None:
    """From step `at` on, a loss is NaN unless the learning rate is lower."""
    whole = engine_train._backward

    def backward(losses, optimiser, batch, config, group):
        values = whole(losses, optimiser, batch, config, group)
        backward.steps += 1
        bad = backward.steps >= at and config.learning_rate > 0.01
        return {**values, "total": float("nan")} if bad else values

    backward.steps = 0
    monkeypatch.setattr(engine_train, "_backward", backward)


@pytest.mark.parametrize(("at", "kept"), [(3, True), (1, False)])
def test_the_advice_after_a_nan_works(folder, tmp_path, monkeypatch, capsys, at, kept):
    poisoned(monkeypatch, at)
    words = ["train", str(folder / "annotations.json"), "--out", str(tmp_path / "m")]
    words += ["--steps", "4", "--batch-size", "2", "--image-side", "64", "64"]
    words += ["--start", "scratch", "--checkpoint-every", "2", "--device", "cpu"]
    assert cli.main(words) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"step {at}: the loss is no finite number any more, on images" in said
    assert ("The weights after step 2 are kept" in said) == kept
    advised = command_in(said)
    assert ("--init" in advised) == kept and "0.004" in advised
    assert cli.main(advised) == 0
    assert "trained 4 steps" in capsys.readouterr().out
    assert read_recipe(tmp_path / "m-2").start == ("own" if kept else "scratch")
