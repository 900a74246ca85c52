"""A training that has learnt nothing is told from one that has."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.photos import own_folder
from wsislib.data.sample import Category, Detections, Label, LabelKind, Sample
from wsislib.engine.history import read_history
from wsislib.photos import collapse
from wsislib.photos import commands as photos
from wsislib.photos.collapse import empty_predictions, flat_losses, look_back


def history(*values, name="loss_class"):
    return [{"step": 10 * (i + 1), "lr": 0.1, name: v, "total": v} for i, v in enumerate(values)]


NOISE = [0.02 * math.sin(7 * i) for i in range(40)]


@pytest.mark.parametrize(
    ("values", "flat"),
    [
        ([0.7 + n for n in NOISE], True),
        ([0.7 * (1 + i / 40) for i in range(40)], True),  # it rises and stays up
        ([0.7 * math.exp(-i / 40) + n for i, n in enumerate(NOISE)], False),
        ([0.7 - 0.05 * i / 40 + n for i, n in enumerate(NOISE)], False),
        ([0.7] * 9, False),  # too short to tell
        ([0.0] * 40, False),
    ],
)
def test_losses_that_never_fell(values, flat):
    said = flat_losses(history(*values))
    assert (said is not None) == flat
    assert said is None or "no loss has fallen since the first steps" in said


def test_a_loss_that_begins_late_is_judged_from_there():
    late = [0.0] * 30 + [5 - 0.1 * i for i in range(20)]
    rows = [
        {**row, "loss_mask": value} for row, value in zip(history(*[0.7] * 50), late, strict=True)
    ]
    assert flat_losses(rows) is None


def test_trainings_that_were_published_are_no_false_alarm():
    histories = sorted((Path(__file__).parents[2] / "results").rglob("history.csv"))
    assert len(histories) > 100
    flat = [path for path in histories if flat_losses(read_history(path))]
    assert not flat


def test_one_loss_that_falls_is_enough():
    rows = history(*[0.7] * 40)
    for i, row in enumerate(rows):
        row["loss_mask"] = 1 - i / 80
    assert flat_losses(rows) is None
    assert flat_losses([{k: v for k, v in r.items() if k != "loss_mask"} for r in rows])


class Images:
    """Six images, each with an object of both categories."""

    categories = (Category(1, "square"), Category(2, "disc"))
    image_ids = tuple(range(1, 7))

    def __len__(self):
        return 6

    def __getitem__(self, index):
        label = Label(LabelKind.TAG, torch.tensor([0, 1]))
        return Sample(torch.zeros(3, 8, 8), index + 1, label)


class Answers(nn.Module):
    """Finds objects of given categories and scores, with or without pixels."""

    def __init__(self, categories, scores, filled=True):
        super().__init__()
        self.found = Detections(
            torch.zeros(len(scores), 4), torch.tensor(scores), torch.tensor(categories),
            torch.full((len(scores), 8, 8), filled),
        )  # fmt: skip

    def predict(self, images):
        return [self.found for _ in images]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Answers([0, 1], [0.9, 0.8]), None),
        (Answers([0, 0, 1], [0.9, 0.8, 0.1]), "nothing but 'square' on 6 of the images"),
        (Answers([0, 1], [0.04, 0.03]), "finds nothing on 6 of the images that it was trained"),
        (Answers([0, 1], [0.9, 0.8], filled=False), "finds nothing"),
        (Answers([0, 1, 0], [0.3, 0.06, 0.01]), None),
    ],
)
def test_predictions_on_what_was_learnt(model, message):
    model.train()
    said = empty_predictions(model, Images(), "cpu", 50)
    assert model.training
    assert said is None if message is None else message in said and "50 steps" in said


class Boxes(Images):
    """The same with boxes."""

    def __getitem__(self, index):
        boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0], [4.0, 4.0, 8.0, 8.0]])
        label = Label(LabelKind.BOX, torch.tensor([0, 1]), boxes=boxes)
        return Sample(torch.zeros(3, 8, 8), index + 1, label)


def test_none_of_the_objects_is_found():
    model = Answers([0, 1], [0.9, 0.8])
    said = empty_predictions(model, Boxes(), "cpu", 50)
    assert "finds none of 12 objects on 6 of the images" in said
    model.found.boxes[1] = torch.tensor([4.0, 4.0, 8.0, 7.0])
    assert empty_predictions(model, Boxes(), "cpu", 50) is None


def test_what_began_as_ones_own_may_stay_as_it_is():
    model, rows = Answers([0, 1], [0.9, 0.8]), history(*[0.7] * 40)
    assert look_back(model, Images(), rows, "cpu", began_new=False) == []
    assert len(look_back(model, Images(), rows, "cpu", began_new=True)) == 1


def test_the_warning_is_kept_and_said_again(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(collapse, "_LOWEST", 2.0)
    folder = own_folder.draw(tmp_path / "data", 2)
    own_folder.train(folder, tmp_path / "m", steps=0)
    assert "warning: the model finds nothing" in capsys.readouterr().err
    kept = json.loads((tmp_path / "m" / "warnings.json").read_text())
    assert len(kept) == 1 and "0 steps" in kept[0]
    photos.evaluate(tmp_path / "m", folder / "annotations.json", first=1, device="cpu")
    assert f"warning of its training: {kept[0]}" in capsys.readouterr().err
