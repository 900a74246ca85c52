"""`wsis predict` as a good citizen: nothing lost, nothing overwritten, everything named."""

import json
import os

import numpy as np
import pytest
import torch
from PIL import Image

from wsislib.data.rle import decode_segmentation
from wsislib.data.sample import WindowDetection
from wsislib.photos import commands
from wsislib.photos.prediction_files import overlay_names, read_predictions
from wsislib.photos.recipe import Recipe

CATEGORIES = ((1, "square"), (2, "正方形"))


class Bright(torch.nn.Module):
    """Finds the bright half of a picture, once for sure and once hardly."""

    def predict_windows(self, image):
        side = image.shape[2] // 2
        mask = image[0, :, :side] > 0.4
        box = torch.tensor([0.0, 0, side, image.shape[1]])
        yield WindowDetection(box, 0.2, 0, 0, 0, mask)
        yield WindowDetection(box, 0.9, 1, 0, 0, mask)


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A model folder, photographs and a call of predict; nothing is trained."""
    monkeypatch.setattr(commands, "load_model", lambda folder: (Bright(), None))
    recipe = Recipe("small", "class-agnostic", False, (64, 64), 0, CATEGORIES, "data")
    recipe.save(tmp_path / "model")
    photos = tmp_path / "photos"
    for name in ("a.jpg", "b.png", "sub/a.jpg"):
        draw(photos / name)

    def predict(*places, out="found", **options):
        places = list(places) or [photos]
        return commands.predict(
            tmp_path / "model", places, out=tmp_path / out, **{"device": "cpu", **options}
        )

    predict.root, predict.photos = tmp_path, photos
    return predict


def draw(path, size=(40, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((size[1], size[0], 3), 200, dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def document(world, out="found"):
    return json.loads((world.root / out / "predictions.json").read_text())


def files(world, out="found"):
    root = world.root / out
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


def test_writes_what_other_tools_open(world, capsys):
    assert world() == 0
    assert files(world) == [
        "overlays/a.jpg", "overlays/b.jpg", "overlays/legend.txt", "predictions.json",
        "results.json",
    ]  # fmt: skip
    found = document(world)
    assert found["info"]["complete"] is True
    assert found["images"][0] == {"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}
    assert found["categories"] == [{"id": i, "name": name} for i, name in CATEGORIES]
    first = found["annotations"][0]
    assert (first["id"], first["image_id"], first["category_id"]) == (1, 1, 2)
    assert (first["bbox"], first["area"], first["score"]) == ([0, 0, 20, 30], 600, 0.9)
    results = json.loads((world.root / "found" / "results.json").read_text())
    assert [(r["image_id"], r["score"]) for r in results] == [
        (1, 0.9),
        (1, 0.2),
        (2, 0.9),
        (2, 0.2),
    ]
    mask = decode_segmentation(results[0]["segmentation"], 30, 40)
    assert mask[:, :20].all() and not mask[:, 20:].any()
    assert (world.root / "found" / "overlays" / "legend.txt").read_text() == "#2\t正方形\n"
    said, errors = capsys.readouterr()
    assert "4 instances in 2 images, 2 of them with a score of 0.5 or more" in said
    assert "subfolders (read with --recursive): 1 (sub)" in said
    assert errors == "", "no bar outside a terminal"


def test_predictions_are_read_image_by_image(world):
    world()
    one, two = read_predictions(world.root / "found", least_score=0.5)
    assert (one.image["file_name"], two.image["file_name"]) == ("a.jpg", "b.png")
    assert (one.categories, one.scores, one.boxes) == (("正方形",), (0.9,), ([0, 0, 20, 30],))
    assert one.masks[0]["size"] == [30, 40]
    (all_of_one, _) = read_predictions(world.root / "found" / "predictions.json")
    assert all_of_one.categories == ("正方形", "square")


def test_a_bad_file_costs_only_itself(world, capsys):
    whole = (world.photos / "a.jpg").read_bytes()
    (world.photos / "broken.jpg").write_bytes(whole[: len(whole) // 2])
    (world.photos / "._a.jpg").write_bytes(b"\x00\x05\x16\x07")
    (world.photos / "text.png").write_text("hello")
    assert world() == 1
    found = document(world)
    assert [(r["id"], r["file_name"]) for r in found["images"]] == [(1, "a.jpg"), (2, "b.png")]
    said, errors = capsys.readouterr()
    assert "left out: broken.jpg: cannot be read" in errors
    assert "left out: text.png: not an image that can be read" in errors
    assert "cannot be used: 2 (broken.jpg, text.png)" in said and "hidden: 1 (._a.jpg)" in said


def test_files_with_equal_stems_keep_apart(world):
    draw(world.photos / "a.png")
    draw(world.photos / "A.PNG")
    assert world(recursive=True) == 0
    overlays = [name for name in files(world) if name.endswith(".jpg")]
    assert overlays == [
        "overlays/A.PNG.jpg", "overlays/a.jpg.jpg", "overlays/a.png_.jpg", "overlays/b.jpg",
        "overlays/sub/a.jpg",
    ]  # fmt: skip
    names = ["x.png", "x.jpg", "x.png.jpg", "x.png.png", "y.jpg"]
    assert len({name.casefold() for name in overlay_names(names)}) == len(names)


def test_what_was_found_is_kept_when_the_run_ends_early(world, monkeypatch):
    class Stops(Bright):
        calls = 0

        def predict_windows(self, image):
            Stops.calls += 1
            if Stops.calls == 2:
                raise KeyboardInterrupt
            return super().predict_windows(image)

    monkeypatch.setattr(commands, "load_model", lambda folder: (Stops(), None))
    with pytest.raises(KeyboardInterrupt):
        world()
    found = document(world)
    assert found["info"]["complete"] is False
    assert len(found["images"]) == 1 and len(found["annotations"]) == 2


def test_nothing_is_overwritten_unasked(world):
    world()
    before = document(world)
    with pytest.raises(ValueError, match=r"holds results already \(predictions.json.*--force"):
        world(world.photos / "b.png")
    assert document(world) == before


def test_overlays_of_an_earlier_run_do_not_stay(world):
    world(recursive=True)
    assert "overlays/sub/a.jpg" in files(world)
    assert world(world.photos / "b.png", force=True) == 0
    assert files(world) == ["overlays/b.jpg", "overlays/legend.txt", "predictions.json",
                            "results.json"]  # fmt: skip
    draw(world.root / "found" / "overlays" / "mine.jpg")
    with pytest.raises(ValueError, match=r"mine.jpg: not written by an earlier run"):
        world(force=True)


def test_inputs_are_never_overwritten(world):
    world()
    given = world.root / "found" / "predictions.json"
    with pytest.raises(ValueError, match="predictions.json: would be overwritten"):
        world(annotations=given, force=True)
    with pytest.raises(ValueError, match=r"overlays/a.jpg: would be overwritten"):
        world(world.root / "found" / "overlays", force=True)


@pytest.mark.parametrize("kind", ["file", "locked"])
def test_the_folder_is_tried_before_the_model_is_loaded(world, monkeypatch, kind):
    monkeypatch.setattr(commands, "load_model", lambda folder: pytest.fail("too late"))
    place = world.root / "place"
    if kind == "file":
        place.write_text("x")
    else:
        place.mkdir(mode=0o500)
        if os.access(place, os.W_OK):
            pytest.skip("this user may write everywhere")
    with pytest.raises(OSError, match="could not write"):
        world(out="place/found")


def annotations(world, *names, categories=CATEGORIES, **changes):
    images = [
        {"id": 10 * i, "file_name": name, "width": 40, "height": 30, **changes}
        for i, name in enumerate(names, start=1)
    ]
    kinds = [{"id": id, "name": name} for id, name in categories]
    path = world.root / "file.json"
    path.write_text(json.dumps({"images": images, "annotations": [], "categories": kinds}))
    return path


def test_ids_and_names_are_those_of_the_annotation_file(world, capsys):
    path = annotations(world, "photos/b.png", "./sub\\a.jpg", "a.jpg", "c.jpg")
    assert world(annotations=path, recursive=True) == 0
    assert f"not among these photographs: 1 images of {path}" in capsys.readouterr().out
    ids = [(record["id"], record["file_name"]) for record in document(world)["images"]]
    assert ids == [(30, "a.jpg"), (10, "photos/b.png"), (20, "./sub\\a.jpg")]


def test_an_annotation_file_that_does_not_fit_is_refused(world):
    for path, message in {
        ("a.jpg",): "no image called 'b.png'",
        ("a.jpg", "3f2a-b.png"): "no image called 'b.png'; '3f2a-b.png' is near",
        ("photos/a.jpg", "x/photos/a.jpg", "b.png"): "2 images that may be 'a.jpg'",
    }.items():
        with pytest.raises(ValueError, match=message):
            world(annotations=annotations(world, *path))
    other = annotations(world, "a.jpg", "b.png", categories=((1, "square"), (3, "正方形")))
    with pytest.raises(ValueError, match="categories are not those the model was trained on"):
        world(annotations=other)
    with pytest.raises(ValueError, match="ids start at 1"):
        world(annotations=annotations(world, "a.jpg", "b.png", id=0))
    assert not (world.root / "found").exists()
    assert world(annotations=annotations(world, "a.jpg", "b.png", width=41)) == 1


def test_equal_pictures_of_two_places_are_not_one_record(world):
    path = annotations(world, "a.jpg", "b.png")
    with pytest.raises(ValueError, match="would stand for both"):
        world(annotations=path, recursive=True)


def test_tiles_give_each_object_once(world, monkeypatch):
    draw(world.root / "wide" / "wide.png", (200, 40))

    class Left(torch.nn.Module):
        def predict_windows(self, image):
            box = torch.tensor([0.0, 0, image.shape[2], image.shape[1]])
            yield WindowDetection(box, 0.9, 0, 0, 0, image[0] > 0.4)

    monkeypatch.setattr(commands, "load_model", lambda folder: (Left(), None))
    assert world(world.root / "wide", tile=64, overlap=0.25) == 0
    (one,) = document(world)["annotations"]
    assert one["bbox"] == [0, 0, 200, 40] and one["area"] == 8000
    with pytest.raises(ValueError, match="--tile 8"):
        world(tile=8, out="other")
