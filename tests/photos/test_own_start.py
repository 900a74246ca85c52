"""`wsis train --init`: what is taken over from a model of one's own, and what is new."""

import json

import pytest
import torch

from tests.photos import own_folder
from wsislib.engine.weights import read_meta, read_tensors
from wsislib.models.sam import sam_weights
from wsislib.models.sam.sam import Teacher
from wsislib.models.sam.tiny_sam import tiny_sam
from wsislib.photos import commands as photos
from wsislib.photos.own_start import load_own, read_own
from wsislib.photos.recipe import load_model, read_recipe


@pytest.fixture(autouse=True)
def random_teacher(monkeypatch):
    """A teacher's weights do not matter here; "wide" is another one."""

    def load(which):
        sam = tiny_sam(0, 16 if which == "wide" else 8, 48, (4, 4, 4, 4))
        return Teacher(sam, str(which), str(which)[0] * 64)

    monkeypatch.setattr(sam_weights, "load_sam", load)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return own_folder.draw(tmp_path_factory.mktemp("own") / "data")


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("model") / "detector"
    assert own_folder.train(folder, out, checkpoint_every=1) == 0
    return out


def renamed(document):
    """Category 1 is gone, the others come in another order with other ids, one is new."""
    kept = document["categories"][1:]
    numbers = {one["id"]: 10 - place for place, one in enumerate(kept)}
    document["categories"] = [{"id": numbers[c["id"]], "name": c["name"]} for c in kept]
    document["categories"].append({"id": 3, "name": "novelty"})
    for annotation in document["annotations"]:
        annotation["category_id"] = numbers.get(annotation["category_id"], 3)


def weights_of(folder):
    path = folder / "checkpoints" / "final.safetensors"
    return read_tensors(path, read_meta(path))


def test_the_same_categories_go_on_where_they_were(folder, trained, tmp_path, capsys):
    assert own_folder.train(folder, tmp_path / "m", init=trained, steps=0) == 0
    printed = capsys.readouterr().out
    assert "starts from" in printed and "(2 steps), with a fresh optimiser" in printed
    assert "new:" not in printed
    before, after = weights_of(trained), weights_of(tmp_path / "m")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    recipe = read_recipe(tmp_path / "m")
    assert (recipe.start, recipe.image_side) == ("own", (64, 64))
    assert own_folder.train(folder, tmp_path / "m", init=trained, steps=0) == 0  # it goes on


@pytest.mark.parametrize("head", ["class-agnostic", "class-specific"])
def test_rows_follow_the_names_of_categories(folder, tmp_path, capsys, head):
    own_folder.train(folder, tmp_path / "a", mask_head=head)
    other = own_folder.edited(folder, renamed)
    settings = {"annotations": other, "init": tmp_path / "a", "mask_head": head, "steps": 0}
    assert own_folder.train(folder, tmp_path / "b", **settings) == 0
    printed = capsys.readouterr().out
    theirs = [
        c["name"] for c in json.loads((folder / "annotations.json").read_text())["categories"]
    ]
    assert "new: novelty" in printed and f"not in this file: {theirs[0]}" in printed
    a, b = weights_of(tmp_path / "a"), weights_of(tmp_path / "b")
    ours = [name for _, name in read_recipe(tmp_path / "b").categories]
    for name in ("cls_score", "bbox_pred"):
        x, y = (w[f"roi.box_predictor.{name}.weight"].unflatten(0, (5, -1)) for w in (a, b))
        assert torch.equal(x[0], y[0])  # background
        for place, category in enumerate(ours):
            kept = category in theirs
            assert not kept or torch.equal(x[1 + theirs.index(category)], y[1 + place])
    masks = a["mask.predictor.weight"], b["mask.predictor.weight"]
    assert head == "class-specific" or torch.equal(*masks)
    assert head == "class-agnostic" or torch.equal(masks[0][2], masks[1][1 + ours.index(theirs[1])])
    differing = {name for name in a if not torch.equal(a[name], b[name])}
    assert differing <= {n for n in a if n.startswith(("roi.box_predictor", "mask.predictor"))}
    load_model(tmp_path / "b")


def test_a_wish_starts_from_a_wish(folder, tmp_path, capsys):
    settings = {"model": "wish", "start": "scratch"}
    own_folder.train(folder, tmp_path / "a", **settings)
    other = own_folder.edited(folder, renamed)
    settings = {"annotations": other, "init": tmp_path / "a", "model": "wish", "steps": 0}
    assert own_folder.train(folder, tmp_path / "b", **settings, max_objects=60) == 0
    a, b = weights_of(tmp_path / "a"), weights_of(tmp_path / "b")
    assert int(b["steps"]) == 0
    decoder = "segmenter.query_decoder."
    assert torch.equal(a[f"{decoder}classify.weight"][4], b[f"{decoder}classify.weight"][4])
    assert b[f"{decoder}queries.weight"].shape[0] == 60
    assert torch.equal(a[f"{decoder}queries.weight"], b[f"{decoder}queries.weight"][:40])
    names = [[name for _, name in read_recipe(tmp_path / m).categories] for m in "ab"]
    row = [n.index(names[0][2]) for n in names]
    cams = [w["cam_head.classify.weight"] for w in (a, b)]
    assert torch.equal(cams[0][row[0]], cams[1][row[1]])
    prompts = [n for n in a if n.startswith("prompt_head.")]
    assert all(torch.equal(a[name], b[name]) for name in prompts)
    assert read_recipe(tmp_path / "b").max_objects == 60
    load_model(tmp_path / "b")
    capsys.readouterr()
    settings["teacher"] = "wide"
    assert own_folder.train(folder, tmp_path / "c", **settings) == 0
    assert "the prompt head is new: the teacher is another" in capsys.readouterr().out


def test_checkpoints_of_an_unfinished_training_serve_too(folder, trained, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    for file in (trained / "checkpoints").glob("step-1.*"):
        (tmp_path / "checkpoints" / file.name).write_bytes(file.read_bytes())
    read_recipe(trained).save(tmp_path)
    own = read_own(tmp_path)
    assert (own.steps, own.path.name) == (1, "step-1.safetensors")
    direct = read_own(trained / "checkpoints" / "step-1.safetensors")
    assert direct.sha256 == own.sha256
    network = read_recipe(trained).build(weights_follow=True)
    load_own(network, own, tuple(name for _, name in own.recipe.categories))
    state = network.state_dict()
    assert all(torch.equal(state[name], value) for name, value in own.tensors.items())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "wish"}, "of another network; give --model mask-rcnn --size small --mask-head"),
        ({"size": "r50"}, "give --model mask-rcnn --size small"),
        ({"start": "scratch"}, "leave out --start"),
        ({"max_objects": -1}, "--max-objects -1: give 1 to"),
    ],
)
def test_what_does_not_go_together_is_refused(folder, trained, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        own_folder.train(folder, tmp_path / "m", init=trained, **changes)
    assert not (tmp_path / "m").exists()


def test_a_folder_without_a_model_is_named(folder, trained, tmp_path):
    with pytest.raises(ValueError, match=r"--init .*nothing: no model of `wsis train` here"):
        own_folder.train(folder, tmp_path / "m", init=tmp_path / "nothing")
    read_recipe(trained).save(tmp_path / "begun")
    with pytest.raises(ValueError, match="has saved no weights yet"):
        own_folder.train(folder, tmp_path / "m", init=tmp_path / "begun")
    assert photos.evaluate(trained, folder / "annotations.json", first=1, device="cpu") == 0
