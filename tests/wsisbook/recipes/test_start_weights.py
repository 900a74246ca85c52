"""Start weights: made on a miniature, installed, and what a training of one's own begins with."""

import json
from pathlib import Path

import pytest
import torch

from wsisbook.cli import main
from wsisbook.recipes import start_weights
from wsisbook.recipes.package_weights import install_weights
from wsisbook.recipes.start_weights import StartRecipe, exhaustive_photographs, write_start
from wsislib.data.world import WorldDataset, WorldSpec, export_coco
from wsislib.models import assets
from wsislib.photos import commands as photos
from wsislib.photos.recipe import read_recipe
from wsislib.photos.starts import CLASS_HEADS

MODELS = {"start-mask2former": "wish", "start-mask-rcnn": "mask-rcnn"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data folder with a sam-photos of six drawn scenes, of which some lack labels."""
    place = tmp_path_factory.mktemp("data")
    folder = place / "sam-photos"
    export_coco(WorldDataset(WorldSpec(categories=4, size=64), seed=0, count=6), folder)
    document = json.loads((folder / "annotations.json").read_text())
    for number, record in enumerate(document["images"]):
        record |= {"exhaustive": number % 3 != 2, "subset": f"part {number % 2}"}
    for part in ("train", "val"):
        (folder / f"{part}.json").write_text(json.dumps(document))
    return place


@pytest.mark.parametrize("name", MODELS)
def test_weights_are_made_installed_and_begun_with(name, data, tmp_path, monkeypatch):
    monkeypatch.setenv("WSIS_DATA", str(data))
    out, stem = tmp_path / "out", name.replace("-", "_")
    words = ["teacher", "train", name, "--scale", "smoke", "--device", "cpu", "--out", str(out)]
    assert main(words) == 0
    manifest = json.loads((out / f"{stem}.json").read_text())
    assert manifest["recipe"]["steps"] == 2 and manifest["recipe"]["seed"] == 0
    assert manifest["data"]["images"] == 4
    assert manifest["data"]["subsets"] == {"part 0": 2, "part 1": 2}
    assert "masks" in manifest["has_seen"]
    assert manifest["may_start"] == ["own photographs"]
    assert "weakly supervised rows of the study" in manifest["not_for"]
    assert set(manifest["quality"]) >= {"segm_AP", "bbox_AP", "held_out_photographs"}
    first = (out / f"{stem}.safetensors").read_bytes()
    assert len(first) < start_weights.MOST_BYTES
    assert main(words) == 0
    assert (out / f"{stem}.safetensors").read_bytes() == first  # nothing was left to do

    package = tmp_path / "package"
    install_weights(out, stem, package)
    monkeypatch.setattr(assets, "assets_folder", lambda: package)
    tensors, _ = assets.read_asset(stem)
    model = MODELS[name]
    assert not any(key.startswith(CLASS_HEADS[model]) for key in tensors)
    own = data / "sam-photos" / "annotations.json"
    if model == "mask-rcnn":
        settings = {"steps": 0, "image_side": (64, 64), "device": "cpu", "checkpoint_every": 1}
        assert photos.train(own, out=tmp_path / "own", **settings) == 0
        kept = read_recipe(tmp_path / "own")
        assert (kept.start, kept.start_sha256) == ("ours", manifest["sha256"])
        begun = kept.build().state_dict()
        assert all(torch.equal(begun[key], value) for key, value in tensors.items())


def test_only_photographs_with_every_object_annotated_are_learnt(data, tmp_path):
    folder = data / "sam-photos"
    assert len(exhaustive_photographs(folder, "train")) == 4
    document = json.loads((folder / "train.json").read_text())
    for record in document["images"]:
        del record["exhaustive"]
    (tmp_path / "train.json").write_text(json.dumps(document))
    with pytest.raises(ValueError, match="no image has `exhaustive: true`"):
        exhaustive_photographs(tmp_path, "train")
    with pytest.raises(ValueError, match=r"val.json: not there.*WSIS_DATA"):
        exhaustive_photographs(tmp_path, "val")


def test_weights_too_large_for_the_package_are_refused(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(start_weights, "MOST_BYTES", 10)
    network = StartRecipe(model="mask-rcnn").build(2, fetch=False)
    with pytest.raises(ValueError, match="bytes of weights, and 10 are allowed"):
        write_start(tmp_path, "start_mask_rcnn", network, {})
    assert not list(tmp_path.iterdir())
