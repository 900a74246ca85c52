"""Large, turned and deep photographs through the commands: scaled once, and said."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsislib.data.sample import LabelKind
from wsislib.engine.weights import read_meta, read_tensors
from wsislib.photos import commands as photos
from wsislib.photos.data import read_photographs, weakened
from wsislib.photos.training import LEAST_SIDE, TrainOptions
from wsislib.teacher.caching import cache_candidates
from wsislib.teacher.teaching import TeachingDataset


def folder_of(place: Path, sizes: list[tuple[int, int]]) -> Path:
    """Photographs of (width, height), each with two outlined squares."""
    (place / "images").mkdir(parents=True)
    images, annotations = [], []
    for number, (width, height) in enumerate(sizes, start=1):
        pixels = np.random.default_rng(number).integers(90, 140, (height, width, 3), dtype=np.uint8)
        for left in (width // 8, width // 2):
            side = height // 3
            pixels[side : 2 * side, left : left + side] = 250
            outline = [left, side, left + side, side, left + side, 2 * side, left, 2 * side]
            annotations.append({
                "id": len(annotations) + 1, "image_id": number, "category_id": 1,
                "segmentation": [outline], "bbox": [left, side, side, side],
            })  # fmt: skip
        Image.fromarray(pixels).save(place / "images" / f"{number}.png")
        images.append(
            {"id": number, "file_name": f"{number}.png", "width": width, "height": height}
        )
    document = {"images": images, "annotations": annotations}
    document["categories"] = [{"id": 1, "name": "square"}]
    (place / "train.json").write_text(json.dumps(document))
    return place / "train.json"


def test_large_photographs_are_scaled_once_and_the_copies_may_go(tmp_path: Path) -> None:
    path = folder_of(tmp_path / "data", [(1400, 1000), (300, 200)])
    settings = {"batch_size": 1, "image_side": (64, 64), "device": "cpu", "from_scratch": True}
    out, runs = tmp_path / "model", []
    for again in (False, True):
        if again:  # what was kept is damaged, and training begins anew
            (copy,) = (out / "pictures").iterdir()
            copy.write_bytes(copy.read_bytes()[:500])
            shutil.rmtree(out / "checkpoints")
            (out / "history.csv").unlink()
        assert photos.train(path, out=out, steps=3, **settings) == 0
        (copy,) = (out / "pictures").iterdir()  # one of the two photographs is large
        with Image.open(copy) as image:
            assert max(image.size) == LEAST_SIDE
        final = out / "checkpoints" / "final.safetensors"
        runs.append(read_tensors(final, read_meta(final)))
    assert all(np.array_equal(runs[0][k].numpy(), runs[1][k].numpy()) for k in runs[0])
    assert photos.evaluate(out, path, device="cpu") == 0
    results = json.loads((out / "evaluation-train-results.json").read_text())
    assert {tuple(r["segmentation"]["size"]) for r in results if r["image_id"] == 1} <= {
        (1000, 1400)
    }, "judged at the size of the photograph"


def test_a_teacher_sees_what_the_student_will(tmp_path: Path) -> None:
    from wsislib.models.sam.sam_weights import load_sam

    path = folder_of(tmp_path / "data", [(1400, 1000)])
    options = TrainOptions(
        "wish", "boxes", "tiny", "small", "class-agnostic", True, None, 4, 1, None, 0, 100
    )
    dataset = weakened(
        read_photographs(path, None, weakest=LabelKind.TAG).within(options.pictures(tmp_path)),
        "boxes",
        0,
    )
    done = cache_candidates(dataset, load_sam("tiny"), tmp_path / "cache", progress=False)
    sample = TeachingDataset(dataset, done.cache)[0].check(1)
    assert sample.image.shape == (3, 731, 1024)
    assert sample.label.candidates.masks.shape == (2, 3, 731, 1024)


def test_what_is_turned_or_stretched_is_said(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = folder_of(tmp_path / "data", [(60, 40), (60, 40)])
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.new("RGB", (60, 40)).save(tmp_path / "data" / "images" / "1.png", exif=exif)
    deep = np.arange(2400, dtype=np.uint16).reshape(40, 60)
    Image.fromarray(deep).save(tmp_path / "data" / "images" / "2.png")
    read_photographs(path, None, weakest=LabelKind.TAG)
    said = capsys.readouterr().err
    assert "1 of 2 pictures carry a turn of their camera" in said
    assert "1 of 2 pictures have more than 8 bits" in said
