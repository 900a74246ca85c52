"""`wsis train --model wish`: any labels in, masks out, on a user's own folder."""

import json
from dataclasses import replace

import pytest
import torch

from wsislib.data.sample import LabelKind
from wsislib.data.world import WorldDataset, WorldSpec, export_coco
from wsislib.engine.errors import RunBusy
from wsislib.engine.weights import read_meta, read_tensors
from wsislib.models.sam import sam_weights
from wsislib.models.sam.sam import Teacher
from wsislib.models.sam.tiny_sam import tiny_sam
from wsislib.photos import commands as photos
from wsislib.photos.data import holds_tags, read_photographs, weakened
from wsislib.photos.recipe import load_model, read_recipe
from wsislib.photos.training import TrainOptions, build_wish, wish_config

MIX = "2 tags + 1 points + 2 boxes + 1 masks"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A COCO-format folder of six small scenes."""
    place = tmp_path_factory.mktemp("own") / "data"
    export_coco(WorldDataset(WorldSpec(categories=4, size=64), seed=0, count=6), place)
    return place


@pytest.fixture(autouse=True)
def random_teacher(monkeypatch):
    """Weights of the package do not matter here."""
    sam = tiny_sam(0, 8, 48, (4, 4, 4, 4))
    monkeypatch.setattr(sam_weights, "load_sam", lambda which: Teacher(sam, "tiny", "f" * 64))


def train(folder, out, **changes):
    settings = {"steps": 4, "batch_size": 3, "image_side": (64, 64), "device": "cpu", **changes}
    return photos.train(folder / "annotations.json", out=out, model="wish", **settings)


def test_a_mix_is_trained_judged_and_used(folder, tmp_path, capsys):
    out = tmp_path / "model"
    assert train(folder, out, labels=MIX) == 0
    assert "trained 4 steps" in capsys.readouterr().out
    recipe = read_recipe(out)
    assert (recipe.model, recipe.labels, recipe.teacher) == ("wish", MIX, "photo")
    assert (out / "candidates").is_dir()
    trained, _ = load_model(out)
    held = read_tensors(path := out / "checkpoints" / "final.safetensors", read_meta(path))
    for name, tensor in trained.state_dict().items():
        assert torch.equal(tensor, held[f"segmenter.{name}"])
    assert any(name.startswith("prompt_head.") for name in held)
    assert photos.evaluate(out, folder / "annotations.json", first=2, device="cpu") == 0
    found = tmp_path / "found"
    assert photos.predict(out, [folder / "images"], out=found, device="cpu") == 0
    assert json.loads((found / "results.json").read_text())
    assert train(folder, out, labels=MIX) == 0  # already done: nothing to do
    with pytest.raises(ValueError, match="begun with another"):
        train(folder, out, labels="boxes")


def test_a_stopped_training_goes_on_to_the_same_weights(folder, tmp_path, monkeypatch):
    from wsislib.engine import record

    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train(folder, whole, labels=MIX, checkpoint_every=1)
    save, kept = record.Record.save, []

    def stop_after_two(self):
        save(self)
        kept.append(self.done.step)
        if self.done.step == 2 and kept.count(2) == 1:
            raise RunBusy("killed")

    monkeypatch.setattr(record.Record, "save", stop_after_two)
    with pytest.raises(RunBusy):
        train(folder, stopped, labels=MIX, checkpoint_every=1)
    assert train(folder, stopped, labels=MIX, checkpoint_every=1) == 0
    ends = [f / "checkpoints" / "final.safetensors" for f in (whole, stopped)]
    assert ends[0].read_bytes() == ends[1].read_bytes()


def mixed(path, images, labels, first=None):
    """The labels of a file, weakened by seed 0."""
    return weakened(read_photographs(path, images, first, weakest=LabelKind.TAG), labels, 0)


@pytest.mark.parametrize(
    ("labels", "kinds"),
    [
        ("file", {LabelKind.MASK}),
        ("tags", {LabelKind.TAG}),
        ("points", {LabelKind.POINT}),
        (MIX, set(LabelKind)),
    ],
)
def test_labels_are_weakened_as_asked(folder, labels, kinds):
    data = mixed(folder / "annotations.json", None, labels)
    assert len(data) == 6
    assert {data[place].label.kind for place in range(6) if len(data[place].label)} == kinds
    for sample in (data[place] for place in range(6)):
        assert sample.label.masks is None or sample.label.kind == LabelKind.MASK


def test_tags_are_seen_wherever_they_stand(folder, tmp_path):
    read = [mixed(folder / "annotations.json", None, w) for w in ("boxes", MIX)]
    assert [holds_tags(data) for data in read] == [False, True]
    document = json.loads((folder / "annotations.json").read_text())
    annotation = document["annotations"][-1]
    del annotation["segmentation"], annotation["bbox"]
    (tmp_path / "a.json").write_text(json.dumps(document))
    images = folder / "images"
    assert holds_tags(mixed(tmp_path / "a.json", images, "file"))
    assert not holds_tags(mixed(folder / "annotations.json", None, "file"))


def test_the_first_images_are_those_with_instances(folder):
    data = mixed(folder / "annotations.json", None, "boxes", 2)
    assert len(data) == 2 and all(len(data[place].label) for place in range(2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": "r101"}, "--size r101: WISH comes in small and r50"),
        ({"mask_head": "class-specific"}, "--mask-head is of a Mask R-CNN"),
        ({"labels": "9 tags"}, "9"),
        ({"labels": "boxs"}, "boxs"),
        ({"first": 0}, "--first is 0; it must be 1 or more"),
    ],
)
def test_wrong_use_is_refused_before_anything_is_written(folder, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        train(folder, tmp_path / "model", **changes)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("held", "labels", "message"),
    [
        ("bbox", "masks", r"by masks cannot be .* image \d+ \(annotation \d+ is a box\)"),
        ("bbox", "2 tags + 3 points", "of the 3 images that --labels wants by points"),
        ("point", "3 tags + 2 boxes", "of the 2 images that --labels wants by boxes"),
    ],
)
def test_a_mix_over_data_without_such_labels_is_refused(folder, tmp_path, held, labels, message):
    path = tmp_path / "weak.json"
    document = json.loads((folder / "annotations.json").read_text())
    for annotation in document["annotations"]:
        annotation.pop("segmentation")
        if held == "point":
            x, y, width, height = annotation.pop("bbox")
            annotation["point"] = [x + width / 2, y + height / 2]
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match=message):
        mixed(path, folder / "images", labels)


def test_labels_and_teacher_are_of_wish(folder, tmp_path):
    with pytest.raises(ValueError, match="are of WISH; add --model wish"):
        photos.train(folder / "annotations.json", out=tmp_path / "m", labels="boxes")


def test_the_published_size_trains_as_its_authors_do(folder, tmp_path):
    train(folder, tmp_path / "model")
    small = read_recipe(tmp_path / "model")
    options = TrainOptions(
        "wish", "file", "tiny", "small", "class-agnostic", False, None, 100, 16, None, 0, 50
    )
    paper = wish_config(replace(small, size="r50"), options, tags=True)
    assert (paper.learning_rate, paper.clip_norm, paper.decay_norms) == (1e-4, 0.01, False)
    assert paper.lr_factors == {"segmenter.backbone.": 0.1}
    with_tags, without = (wish_config(small, options, tags) for tags in (True, False))
    assert (without.learning_rate, without.clip_norm, without.weight_decay) == (5e-4, 1.0, 0.05)
    assert without.lr_factors == {"segmenter.backbone.": 0.3}
    assert with_tags.lr_factors == {"segmenter.backbone.": 0.3, "cam_head.": 40.0}
    assert wish_config(replace(small, pretrained=False), options, True).lr_factors == {}
    faster = replace(options, learning_rate=0.1)
    assert wish_config(small, faster, tags=False).learning_rate == 0.1
    wish = build_wish(small, sam_weights.load_sam("tiny"), 100)
    assert (wish.cam_warmup, wish.self_start) == (10, 50)


def test_a_recipe_from_before_there_was_wish_is_read(folder, tmp_path):
    train(folder, tmp_path)
    path = tmp_path / "recipe.json"
    written = json.loads(path.read_text())
    for name in ("model", "labels", "teacher"):
        del written[name]
    path.write_text(json.dumps(written))
    assert read_recipe(tmp_path).model == "mask-rcnn"
    del written["seed"]
    path.write_text(json.dumps(written))
    with pytest.raises(ValueError, match="missing or unknown: .'seed'"):
        read_recipe(tmp_path)
