"""Check, train, evaluate and predict on a user's own folder, as the command line does it."""

import json

import pytest

from wsislib.data.photographs.coco import CocoDataset
from wsislib.data.world import WorldDataset, WorldSpec, export_coco
from wsislib.engine.evaluate import coco_ap
from wsislib.photos import commands as photos
from wsislib.photos.recipe import load_model, read_recipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A COCO-format folder of six small scenes."""
    place = tmp_path_factory.mktemp("own") / "data"
    export_coco(WorldDataset(WorldSpec(categories=4, size=64), seed=0, count=6), place)
    return place


def train(folder, out, **changes):
    settings = {"steps": 3, "batch_size": 2, "image_side": (64, 64), "device": "cpu"}
    return photos.train(folder / "annotations.json", out=out, **{**settings, **changes})


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("model")
    assert train(folder, out) == 0
    return out


def test_evaluate_writes_what_it_prints(folder, trained, capsys):
    annotations = folder / "annotations.json"
    assert photos.evaluate(trained, annotations, first=4, device="cpu") == 0
    printed = capsys.readouterr().out
    for name in ("segm", "bbox", "AP50", "AP75", "APS", "ARL"):
        assert name in printed
    written = json.loads((trained / "evaluation-annotations.json").read_text())
    results = json.loads((trained / "evaluation-annotations-results.json").read_text())
    dataset = CocoDataset(annotations, folder / "images")
    labelled = sorted({a["image_id"] for a in dataset.ground_truth()["annotations"]})[:4]
    truth = CocoDataset(annotations, folder / "images", image_ids=labelled).ground_truth()
    again = coco_ap(truth, results)
    assert written["segm"]["AP"] == pytest.approx(again.AP)


def test_predict_draws_every_picture_with_the_ids_of_the_file(folder, trained, tmp_path):
    out = tmp_path / "found"
    images = folder / "images"
    code = photos.predict(
        trained, [images], out=out, annotations=folder / "annotations.json", score=0.0, device="cpu"
    )
    assert code == 0
    names = {file.stem for file in images.iterdir()}
    assert {file.stem for file in (out / "overlays").iterdir()} == names
    found = json.loads((out / "predictions.json").read_text())
    ids = {r["file_name"]: r["id"] for r in found["images"]}
    document = json.loads((folder / "annotations.json").read_text())
    assert ids == {r["file_name"]: r["id"] for r in document["images"]}
    assert {r["image_id"] for r in json.loads((out / "results.json").read_text())} <= set(
        ids.values()
    )


def test_training_again_goes_on_or_says_what_differs(folder, trained):
    assert train(folder, trained) == 0  # already done: nothing to do
    with pytest.raises(ValueError, match="begun with another mask_head.*class-agnostic"):
        train(folder, trained, mask_head="class-specific")


def test_faulty_data_is_refused_before_anything_is_written(folder, tmp_path):
    document = json.loads((folder / "annotations.json").read_text())
    document["annotations"][0]["category_id"] = 99
    (tmp_path / "bad.json").write_text(json.dumps(document))
    with pytest.raises(ValueError, match="99"):
        photos.train(tmp_path / "bad.json", images=folder / "images", out=tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_missing_image_folder_is_named(folder, tmp_path):
    (tmp_path / "annotations.json").write_text((folder / "annotations.json").read_text())
    with pytest.raises(ValueError, match="no such image folder.*--images"):
        photos.train(tmp_path / "annotations.json", out=tmp_path / "model")


def test_unfinished_training_is_not_used(folder, trained, tmp_path):
    read_recipe(trained).save(tmp_path)
    with pytest.raises(ValueError, match="has not ended"):
        load_model(tmp_path)
    with pytest.raises(ValueError, match="no trained model here"):
        load_model(tmp_path / "nothing")


def test_other_categories_are_refused(folder, trained, tmp_path):
    document = json.loads((folder / "annotations.json").read_text())
    document["categories"][0]["name"] = "renamed"
    (tmp_path / "other.json").write_text(json.dumps(document))
    with pytest.raises(ValueError, match="categories are not those.*renamed"):
        photos.evaluate(trained, tmp_path / "other.json", images=folder / "images", device="cpu")
