"""VOC folders made small: sizes, masks, the split, and calls that were interrupted."""

from pathlib import Path

import numpy as np
import pytest

from tests.miniatures import voc
from wsislib.atomic import read_json
from wsislib.commands.data import check, voc2coco
from wsislib.data.images import probe_image
from wsislib.data.photographs import voc_to_coco
from wsislib.data.photographs.coco import CocoDataset
from wsislib.data.photographs.voc import VocDataset
from wsislib.data.photographs.voc_to_coco import convert_voc, is_val
from wsislib.data.rle import decode_segmentation


@pytest.fixture
def dataset(tmp_path: Path) -> VocDataset:
    return VocDataset(voc.write(tmp_path / "voc"), "trainaug")


@pytest.fixture
def one_for_val(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the miniature's three names the hash sends none to val; here one is."""
    monkeypatch.setattr(voc_to_coco, "is_val", lambda name: name == "2008_000008.jpg")


def test_the_split_is_a_fifth_and_does_not_change() -> None:
    names = [f"2011_{number:06d}.jpg" for number in range(2000)]
    assert 0.17 < sum(map(is_val, names)) / len(names) < 0.23
    # From a list of the photographs that the committed runs learnt from and were judged by.
    assert not is_val("2007_000032.jpg") and is_val("2007_000039.jpg") and is_val("2007_000061.jpg")


def test_photographs_and_masks_are_scaled_alike(
    dataset: VocDataset, tmp_path: Path, one_for_val: None
) -> None:
    out = tmp_path / "out"
    assert convert_voc(dataset, out, longest=32) == (2, 1)
    train = read_json(out / "train.json")
    for image in train["images"] + read_json(out / "val.json")["images"]:
        assert (image["width"], image["height"]) == (32, 27)  # of 36 x 30
        facts = probe_image(out / "images" / image["file_name"])
        assert (facts.width, facts.height) == (32, 27)
    assert check(out / "train.json") == 0 and check(out / "val.json") == 0
    small = CocoDataset(out / "train.json", out / "images")
    assert [c.name for c in small.categories] == [c.name for c in dataset.categories]
    assert small.image_ids[0] == dataset.image_ids[0]
    sample, whole = small[0], dataset[0]
    assert (sample.label.categories == whole.label.categories).all()
    shares = [label.masks.flatten(1).float().mean(1) for label in (sample.label, whole.label)]
    assert (shares[0] / shares[1]).tolist() == pytest.approx([1, 1], abs=0.1)
    boxes = whole.label.boxes * 32 / 36
    assert float((sample.label.boxes - boxes).abs().max()) <= 1


def test_masks_that_touch_do_not_overlap() -> None:
    left = np.zeros((45, 45), dtype=bool)
    left[:, :23] = True
    small = [voc_to_coco._scaled_mask(mask, (30, 30)) for mask in (left, ~left)]
    assert not (small[0] & small[1]).any() and small[0].any() and small[1].any()


def test_nothing_is_scaled_up_and_specks_are_left_out(
    dataset: VocDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voc_to_coco, "MIN_AREA", 120)
    convert_voc(dataset, tmp_path / "out", longest=500)
    document = read_json(tmp_path / "out" / "train.json")
    assert document["images"][0]["width"] == voc.WIDTH
    wholes = [mask for place in range(3) for mask in dataset[place].label.masks]
    kept = [int(mask.sum()) for mask in wholes if mask.sum() >= 120]
    assert [a["area"] for a in document["annotations"]] == kept and len(kept) < len(wholes)
    entry = document["annotations"][0]
    mask = decode_segmentation(entry["segmentation"], voc.HEIGHT, voc.WIDTH)
    assert mask.sum() == entry["area"] and [a["id"] for a in document["annotations"]][0] == 1


def test_an_interrupted_call_goes_on(dataset: VocDataset, tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop_after_two(positions):
        for position in positions:
            if position == 2:
                raise Stop
            yield position

    out = tmp_path / "out"
    with pytest.raises(Stop):
        convert_voc(dataset, out, 32, stop_after_two)
    assert len(list((out / "images").iterdir())) == 2 and not (out / "train.json").exists()
    times = {file: file.stat().st_mtime_ns for file in (out / "images").iterdir()}
    convert_voc(dataset, out, 32)
    assert all(file.stat().st_mtime_ns == time for file, time in times.items()), "made once"
    convert_voc(dataset, tmp_path / "at-once", 32)
    for name in ("train.json", "val.json", "images/2010_000100.jpg"):
        assert (out / name).read_bytes() == (tmp_path / "at-once" / name).read_bytes()


def test_another_conversion_is_not_mixed_in(dataset: VocDataset, tmp_path: Path) -> None:
    convert_voc(dataset, tmp_path / "out", 32)
    with pytest.raises(ValueError, match=r"holds other photographs, or other sizes .*voc\.json"):
        convert_voc(dataset, tmp_path / "out", 33)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    with pytest.raises(ValueError, match="is not empty"):
        convert_voc(dataset, tmp_path / "full", 32)
    with pytest.raises(ValueError, match="longest is 8; give 32 pixels or more"):
        convert_voc(dataset, tmp_path / "small", 8)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    folder = voc.write(tmp_path / "voc")
    assert voc2coco(folder, out=tmp_path / "out", longest=32, split="trainaug") == 0
    assert "3 photographs to train on and 0 to judge by" in capsys.readouterr().out
    with pytest.raises(ValueError, match="no list of split 'trainval'"):
        voc2coco(folder, out=tmp_path / "other")
