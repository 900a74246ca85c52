"""`wsis teach` and `wsis export`, from a COCO file of weak labels to one of masks."""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from torch import Tensor, nn

from wsislib.commands.export import export
from wsislib.commands.teach import teach
from wsislib.data.photographs.coco import CocoDataset
from wsislib.data.sample import Detections
from wsislib.data.world import WorldDataset, WorldSpec, export_coco
from wsislib.labels import mask_store
from wsislib.models.sam import sam_weights
from wsislib.models.sam.sam import Teacher
from wsislib.models.sam.tiny_sam import tiny_sam
from wsislib.photos import recipe
from wsislib.photos.data import read_weak
from wsislib.teacher.teacher_cache import TeacherCache
from wsislib.teacher.teaching import TeachingDataset, pseudo_masks

SCENES = 6


@pytest.fixture(autouse=True)
def small_teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    sam = tiny_sam(width=32, side=32, widths=(8, 8, 8, 8))
    with torch.no_grad():  # predicted IoU around a half
        sam.mask_decoder.iou_prediction_head.layers[-1].bias += 0.5
    for name in ("tiny", "photo"):
        made = Teacher(sam, name, "one")
        monkeypatch.setattr(sam_weights, f"load_{name}_sam", lambda made=made: made)
    monkeypatch.setattr(mask_store, "BLOCK", 4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six scenes: two labelled with points, two with boxes, one with tags, one with masks."""
    place = tmp_path_factory.mktemp("own") / "data"
    export_coco(WorldDataset(WorldSpec(categories=4, size=64), seed=0, count=SCENES), place)
    document = json.loads((place / "annotations.json").read_text())
    for annotation in document["annotations"]:
        x, y, w, h = annotation["bbox"]
        annotation["point"] = [x + w / 2, y + h / 2]
        image = annotation["image_id"]
        dear = ["segmentation", "area", "bbox", "point"]
        for key in [] if image == 6 else dear if image == 5 else dear[: 3 if image < 3 else 2]:
            annotation.pop(key, None)
    (place / "weak.json").write_text(json.dumps(document))
    return place


def read(path: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # pycocotools under numpy 2
def test_a_file_is_taught_once_and_exported(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    weak, cache = folder / "weak.json", tmp_path / "cache"
    for made in (4, 0):
        assert teach(weak, out=cache, device="cpu") == 0
        printed = capsys.readouterr().out
        assert "6 images, teacher photo on" in printed
        assert f"({made} images made now)" in printed
        assert "bytes an instance on disk" in printed
    out = tmp_path / "masks.json"
    assert export(weak, out=out, cache=cache) == 0
    dataset = CocoDataset(weak, folder / "images")
    taught = TeachingDataset(dataset, TeacherCache(cache))
    coco = read(out)
    assert sorted(coco.anns) == list(range(1, len(coco.anns) + 1))
    assert coco.getImgIds() == list(dataset.image_ids)
    for index, image_id in enumerate(dataset.image_ids):
        found = coco.loadAnns(coco.getAnnIds(imgIds=image_id))
        if image_id == 5:  # tags
            assert not found
            continue
        wanted = pseudo_masks(taught[index].label)
        assert len(found) == len(wanted) > 0
        for entry, annotation in enumerate(found):
            mask = coco.annToMask(annotation).astype(bool)
            assert np.array_equal(mask, wanted.masks[entry].numpy())
            category = dataset.categories[int(wanted.categories[entry])]
            assert annotation["category_id"] == category.id
            assert annotation["area"] == mask.sum()
            assert 0 <= annotation["score"] <= 1
            assert (annotation["score"] == 1) == (image_id == 6)
    # Read back by our own loader, it is a data set of masks.
    again = CocoDataset(out, folder / "images")
    assert torch.equal(again[5].check().label.masks, dataset[5].label.masks)


def test_a_least_score_leaves_masks_out(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    teach(folder / "weak.json", out=tmp_path / "cache", device="cpu")
    export(folder / "weak.json", out=tmp_path / "all.json", cache=tmp_path / "cache")
    scores = sorted(
        a["score"] for a in json.loads((tmp_path / "all.json").read_text())["annotations"]
    )
    middle = scores[len(scores) // 2] - 1e-6
    capsys.readouterr()
    export(folder / "weak.json", out=tmp_path / "some.json", cache=tmp_path / "cache", score=middle)
    kept = json.loads((tmp_path / "some.json").read_text())["annotations"]
    assert [a["score"] for a in kept if a["score"] < middle] == []
    assert len(kept) == sum(score >= middle for score in scores) < len(scores)
    assert "without a mask: " in capsys.readouterr().out


def test_masks_are_weakened_on_demand(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    full = folder / "annotations.json"
    assert teach(full, out=tmp_path / "cache", device="cpu") == 0
    assert "nothing to teach: no points or boxes; --kind box or point" in capsys.readouterr().out
    for kind in ("box", "point"):
        assert teach(full, out=tmp_path / "cache", kind=kind, seed=3, device="cpu") == 0
        assert "(6 images made now)" in capsys.readouterr().out
        TeachingDataset(read_weak(full, None, kind, 3), TeacherCache(tmp_path / "cache"))
    with pytest.raises(ValueError, match="are missing"):
        export(full, out=tmp_path / "x.json", cache=tmp_path / "cache", kind="point", seed=4)
    assert not (tmp_path / "x.json").exists()


def test_the_world_is_taught_in_shares(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for shard in ("1/2", "2/2"):
        arguments = {"kind": "box", "categories": 4, "size": 64, "shard": shard, "device": "cpu"}
        assert teach(world=6, out=tmp_path, **arguments) == 0
    printed = capsys.readouterr().out
    assert "share 1/2: 4 images" in printed and "share 2/2: 2 images" in printed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shard": "3/2"}, "--shard 3/2: must be i/n"),
        ({"shard": "one"}, "--shard one: must be i/n"),
        ({"sam_model": "vit_b"}, "--sam-model is of a checkpoint; give its path with --sam"),
        ({"world": 3}, "either a COCO JSON file or --world"),
        ({"sam": Path("nowhere.pth"), "sam_model": "vit_b"}, "nowhere.pth: no such file; get sam_"),
        ({"sam": Path("nowhere.pth")}, "nowhere.pth: not a teacher that is known"),
    ],
)
def test_wrong_use_is_refused(folder: Path, tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        teach(folder / "weak.json", out=tmp_path / "cache", device="cpu", **changes)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("image", "key", "value", "message"),
    [
        (1, "point", [10, 65], "outside"),
        (3, "bbox", [10, 10, 0, 5], "box"),
        (3, "category_id", 99, "99"),
    ],
)
def test_bad_labels_are_named_before_anything_is_made(
    folder: Path, tmp_path: Path, image: int, key: str, value: object, message: str
) -> None:
    document = json.loads((folder / "weak.json").read_text())
    annotation = next(a for a in document["annotations"] if a["image_id"] == image)
    annotation[key] = value
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(document))
    with pytest.raises(ValueError, match=f"(?s){bad}.*annotation {annotation['id']}.*{message}"):
        teach(bad, images=folder / "images", out=tmp_path / "cache", device="cpu")
    assert not (tmp_path / "cache").exists()


def test_a_cache_of_another_teacher(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teach(folder / "weak.json", out=tmp_path, device="cpu")
    other = Teacher(tiny_sam(width=32, side=32, widths=(8, 8, 8, 8)), "photo", "two")
    monkeypatch.setattr(sam_weights, "load_photo_sam", lambda: other)
    with pytest.raises(ValueError, match="cache is of another teacher .*one, wanted .*two"):
        teach(folder / "weak.json", out=tmp_path, device="cpu")


class Everything(nn.Module):
    """Finds a whole image and an empty mask of every category, by turns of score."""

    def __init__(self) -> None:
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(1))

    def predict(self, images: list[Tensor]) -> list[Detections]:
        found = []
        for image in images:
            masks = torch.zeros(8, *image.shape[1:], dtype=torch.bool)
            masks[:4] = True
            masks[0, :, :5] = False
            scores = torch.tensor([0.9, 0.8, 0.6, 0.4] * 2)
            boxes = torch.tensor([[0.0, 0.0, 64.0, 64.0]]).repeat(8, 1)
            found.append(Detections(boxes, scores, torch.arange(8) % 4, masks))
        return found


def test_a_model_exports_what_the_labels_name(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weak = folder / "weak.json"
    dataset = CocoDataset(weak, folder / "images")
    known = tuple((c.id, c.name) for c in dataset.categories)
    made = recipe.Recipe("small", "class-agnostic", False, (64, 64), 0, known, "data")
    monkeypatch.setattr(recipe, "load_model", lambda folder: (Everything(), made))
    out = tmp_path / "masks.json"
    assert export(weak, out=out, model=tmp_path, score=0.5, device="cpu") == 0
    coco = read(out)
    for index, image_id in enumerate(dataset.image_ids):
        named = {dataset.categories[i].id for i in dataset[index].label.categories.tolist()}
        found = coco.loadAnns(coco.getAnnIds(imgIds=image_id))
        strong = {dataset.categories[i].id for i in range(3)}
        assert {a["category_id"] for a in found} == named & strong
        assert all(a["area"] > 0 for a in found)
    first = next(a for a in coco.anns.values() if a["score"] > 0.85)
    assert first["bbox"] == [5.0, 0.0, 59.0, 64.0]
    renamed = (*known[:-1], (known[-1][0], "other"))
    other = recipe.Recipe("small", "class-agnostic", False, (64, 64), 0, renamed, "data")
    monkeypatch.setattr(recipe, "load_model", lambda folder: (Everything(), other))
    with pytest.raises(ValueError, match="categories are not those"):
        export(weak, out=out, model=tmp_path, device="cpu")


def test_export_wants_a_cache_or_a_model(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.json"
    for which in ({}, {"cache": tmp_path, "model": tmp_path}):
        with pytest.raises(ValueError, match="either --cache .* or --model"):
            export(folder / "weak.json", out=out, **which)
    with pytest.raises(ValueError, match="no teacher's cache here; `wsis teach` makes one"):
        export(folder / "weak.json", out=out, cache=tmp_path / "nothing")
