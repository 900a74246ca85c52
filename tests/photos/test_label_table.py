"""How each label was read, and what is refused because nothing can be learnt."""

import json

import pytest
import torch

from tests.photos import own_folder
from wsislib.data.photographs.coco import CocoDataset
from wsislib.data.sample import Candidates, Category, Label, LabelKind, Sample
from wsislib.models.sam import sam_weights
from wsislib.models.sam.sam import Teacher
from wsislib.models.sam.tiny_sam import tiny_sam
from wsislib.photos.label_table import LabelTable, table_of_masks, table_of_taught
from wsislib.photos.training import GATE


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three scenes: the first with a mask, a box, a point, a tag and a crowd, the last empty."""
    place = own_folder.draw(tmp_path_factory.mktemp("own") / "data", 3)

    def mix(document):
        first, second, third = (one["id"] for one in document["images"])
        one = next(a for a in document["annotations"] if a["image_id"] == first)
        rest = [a for a in document["annotations"] if a["image_id"] == second]
        kinds = [{}, {"segmentation": []}, {"segmentation": [], "bbox": [], "point": [3, 4]}]
        kinds += [{"segmentation": [], "bbox": []}] * 2 + [{"iscrowd": 1}]
        entries = [{**one, **kind, "id": i} for i, kind in enumerate(kinds, 1)]
        later = [{**a, "id": 10 + i} for i, a in enumerate(rest)]
        document["annotations"] = [
            {**one, **some} for one, some in zip(entries, kinds, strict=True)
        ]
        document["annotations"] += later

    own_folder.edited(place, mix, "mixed.json")
    return place


@pytest.fixture(autouse=True)
def random_teacher(monkeypatch):
    teacher = Teacher(tiny_sam(0, 8, 48, (4, 4, 4, 4)), "tiny", "f" * 64)
    monkeypatch.setattr(sam_weights, "load_sam", lambda which: teacher)


def test_wish_says_how_each_label_was_read(folder, tmp_path, capsys):
    document = json.loads((folder / "mixed.json").read_text())
    masks = sum(bool(a["segmentation"]) and not a["iscrowd"] for a in document["annotations"])
    settings = {"annotations": folder / "mixed.json", "model": "wish", "steps": 0}
    assert own_folder.train(folder, tmp_path / "m", **settings) == 0
    printed = capsys.readouterr()
    assert "how each label was read (3 images, 1 without objects)" in printed.out
    assert "0 errors, " in printed.err and "kind-weaker" in printed.err
    kept = json.loads((tmp_path / "m" / "labels.json").read_text())
    given = {"masks": masks, "boxes": 1, "points": 1, "tags": 2, "crowd": 1}
    assert kept["in_file"] == given
    assert kept["learnt"] == {"masks": masks, "boxes": 1, "points": 1, "tags": 1}
    assert kept["boxes_fitted"] + kept["boxes_filled"] == 1
    assert LabelTable(**kept).text() in printed.out
    assert own_folder.train(folder, tmp_path / "m", **settings) == 0  # said again on going on
    assert LabelTable(**kept).text() in capsys.readouterr().out


def test_a_mask_rcnn_says_which_entries_have_no_mask(folder):
    dataset = CocoDataset(folder / "mixed.json", folder / "images", image_ids=[1])
    table = table_of_masks(dataset)
    assert (table.images, table.empty, table.left_out) == (1, 0, 2)
    assert table.in_file == {"masks": 1, "boxes": 1, "points": 1, "tags": 2, "crowd": 1}
    assert "of these no mask is learnt" in table.text()


class Taught:
    """Two boxes; the teacher's masks fit the first."""

    categories, image_ids = (Category(1, "a"),), (1,)

    def __len__(self):
        return 1

    def __getitem__(self, index):
        masks = torch.zeros(2, 3, 8, 8, dtype=torch.bool)
        masks[:, :, 1:5, 1:5] = True
        boxes = torch.tensor([[1.0, 1.0, 5.0, 5.0], [2.0, 2.0, 8.0, 8.0]])
        found = Candidates(masks, torch.ones(2, 3))
        label = Label(LabelKind.BOX, torch.zeros(2, dtype=torch.int64), boxes=boxes)
        label = Label(LabelKind.BOX, label.categories, boxes=boxes, candidates=found)
        return Sample(torch.zeros(3, 8, 8), 1, label)


def test_what_the_teacher_fits_is_counted(folder):
    source = CocoDataset(folder / "mixed.json", folder / "images")
    table = table_of_taught(source, Taught(), GATE)
    assert (table.boxes_fitted, table.boxes_filled, table.left_out) == (1, 1, 2)
    assert "by the teacher's masks 1; none fits, so filled: 1" in table.text()


def strip(*keys):
    def edit(document):
        for annotation in document["annotations"]:
            for key in keys:
                annotation.pop(key, None)

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (strip("segmentation", "area"), "none of the .* has a mask, and .*--model wish learns"),
        (lambda d: d.update(annotations=[]), r"(?s)no-annotation.*--allow-empty"),
        (lambda d: [a.update(iscrowd=1) for a in d["annotations"]], "all-crowd"),
        (
            strip("segmentation", "area", "bbox"),
            "`wsis data check --least tag`, `wsis train --model wish`",
        ),
    ],
)
def test_what_teaches_nothing_is_refused(folder, tmp_path, edit, message):
    path = own_folder.edited(folder, edit)
    with pytest.raises(ValueError, match=message):
        own_folder.train(folder, tmp_path / "m", annotations=path)
    assert not (tmp_path / "m").exists()


def test_images_without_objects_alone_may_be_meant(folder, tmp_path):
    path = own_folder.edited(folder, lambda d: d.update(annotations=[]))
    settings = {"annotations": path, "allow_empty": True}
    for model in ("mask-rcnn", "wish"):
        assert own_folder.train(folder, tmp_path / model, model=model, **settings) == 0


def test_a_draw_of_images_without_objects_is_refused(folder, tmp_path):
    def first_two_empty(document):
        last = document["images"][2]["id"]
        document["annotations"] = [a for a in document["annotations"] if a["image_id"] == last]

    path = own_folder.edited(folder, first_two_empty)
    refused = 0
    for seed in range(4):
        settings = {"annotations": path, "model": "wish", "labels": "1 tags", "steps": 0}
        try:
            own_folder.train(folder, tmp_path / str(seed), seed=seed, **settings)
        except ValueError as error:
            assert "hold no object: nothing to learn from" in str(error)
            refused += 1
    assert refused > 0
