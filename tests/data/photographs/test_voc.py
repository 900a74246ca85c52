"""The VOC loader on a generated devkit folder."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.miniatures import voc
from wsislib.data.photographs.voc import VOC_NAMES, VocDataset, instances_of, numbers_of
from wsislib.data.rle import decode_segmentation
from wsislib.data.sample import Dataset, LabelKind


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return voc.write(tmp_path)


def test_it_is_a_data_set_of_20_categories(folder: Path) -> None:
    dataset = VocDataset(folder, "train")
    assert isinstance(dataset, Dataset)
    assert [category.id for category in dataset.categories] == list(range(1, 21))
    assert dataset.categories[14].name == "person"
    assert len(set(VOC_NAMES)) == 20
    assert dataset.image_ids == (2007000032, 2008000008)


@pytest.mark.parametrize("above", [0, 1, 2])
def test_usual_layouts_are_found(folder: Path, above: int) -> None:
    root = [folder, folder.parent, folder.parent.parent][above]
    assert VocDataset(root, "val").names == voc.SPLITS["val"]


@pytest.mark.parametrize("split", list(voc.SPLITS))
def test_masks_are_the_painted_objects_without_their_borders(folder: Path, split: str) -> None:
    dataset = VocDataset(folder, split)
    assert dataset.names == voc.SPLITS[split]
    for index, name in enumerate(dataset.names):
        label = dataset[index].check(20).label
        assert label.kind == LabelKind.MASK
        painted = voc.objects(name)
        assert label.categories.tolist() == [category - 1 for _, category, _ in painted]
        for entry, (_, _, (x0, y0, x1, y1)) in enumerate(painted):
            wanted = np.zeros((voc.HEIGHT, voc.WIDTH), dtype=bool)
            wanted[y0 + 1 : y1 - 1, x0 + 1 : x1 - 1] = True  # the border is void
            assert np.array_equal(label.masks[entry].numpy(), wanted)
            assert label.boxes[entry].tolist() == [x0 + 1, y0 + 1, x1 - 1, y1 - 1]


def test_objects_covered_with_void_are_nowhere(folder: Path) -> None:
    """`difficult` objects, as the devkit masks them."""
    dataset = VocDataset(folder, "val")
    x0, y0, x1, y1 = voc.COVERED["2009_000001"]
    assert not dataset[0].label.masks[:, y0:y1, x0:x1].any()
    assert len(dataset.ground_truth()["annotations"]) == 3


def test_ground_truth_is_the_labels(folder: Path) -> None:
    dataset = VocDataset(folder, "train")
    truth = dataset.ground_truth()
    assert [a["id"] for a in truth["annotations"]] == [1, 2, 3, 4]
    assert [c["id"] for c in truth["categories"]] == list(range(1, 21))
    for index, record in enumerate(truth["images"]):
        label = dataset[index].label
        own = [a for a in truth["annotations"] if a["image_id"] == record["id"]]
        assert [a["category_id"] - 1 for a in own] == label.categories.tolist()
        for entry, a in enumerate(own):
            mask = decode_segmentation(a["segmentation"], record["height"], record["width"])
            assert torch.equal(torch.from_numpy(mask.copy()), label.masks[entry])
            assert a["area"] == mask.sum()
            x, y, w, h = a["bbox"]
            assert [x, y, x + w, y + h] == label.boxes[entry].tolist()


def test_trainaug_takes_converted_masks_and_falls_back_to_the_devkits(folder: Path) -> None:
    assert not (folder / "SegmentationObject" / "2010_000100.png").exists()
    assert not (folder / "SegmentationObjectAug" / "2007_000032.png").exists()
    dataset = VocDataset(folder, "trainaug")
    assert [len(dataset[i].label) for i in range(3)] == [2, 2, 1]


def test_other_forms_of_the_trainaug_list(folder: Path) -> None:
    lists = folder / "ImageSets" / "Segmentation"
    (lists / "trainaug.txt").unlink()
    lines = [f"/JPEGImages/{n}.jpg /SegmentationClassAug/{n}.png" for n in voc.SPLITS["trainaug"]]
    (lists / "train_aug.txt").write_text("\n".join(lines) + "\n\n")
    assert VocDataset(folder, "trainaug").names == voc.SPLITS["trainaug"]


def test_missing_things_say_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no VOC folder: none of .* holds ImageSets/Segmentation"):
        VocDataset(tmp_path, "train")
    folder = voc.write(tmp_path, aug=False)
    with pytest.raises(ValueError, match=r"no list of split 'test' \(there are: train, val\)"):
        VocDataset(folder, "test")
    with pytest.raises(ValueError, match="Semantic Boundaries Dataset.*SegmentationObjectAug"):
        VocDataset(folder, "trainaug")
    with pytest.raises(ValueError, match=r"no list of split '\.\./Main/train'"):
        VocDataset(folder, "../Main/train")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", "the list is empty"),
        ("2007_000032\n2007_000032\n", "listed twice"),
        ("2007_000032\n..\n", r"line 2: '\.\.' is no image name"),
        ("a b\n c|d\n", r"line 2: 'c\|d' is no image name"),
    ],
)
def test_broken_lists_are_refused(folder: Path, lines: str, message: str) -> None:
    path = folder / "ImageSets" / "Segmentation" / "train.txt"
    path.write_text(lines)
    with pytest.raises(ValueError, match=message) as caught:
        VocDataset(folder, "train")
    assert str(path) in str(caught.value)


def test_broken_masks_are_named(folder: Path) -> None:
    dataset = VocDataset(folder, "train")
    picture = folder / "SegmentationObject" / "2007_000032.png"
    content = picture.read_bytes()
    cases: list[tuple[Callable[[], object], str]] = [
        (lambda: picture.write_bytes(content[: len(content) // 2]), "cannot be read"),
        (lambda: Image.new("RGB", (voc.WIDTH, voc.HEIGHT)).save(picture), "no index picture"),
        (lambda: Image.new("P", (voc.WIDTH, 3)).save(picture), "objects have 36 x 3 pixels"),
        (lambda: picture.unlink(), "no such mask"),
    ]
    for break_it, message in cases:
        break_it()
        with pytest.raises(ValueError, match=message) as caught:
            dataset[0]
        assert str(picture) in str(caught.value)


def test_the_category_of_most_pixels_counts() -> None:
    objects = np.array([[1, 1, 1, 1, 2, 2, 255, 0]], dtype=np.uint8)
    classes = np.array([[15, 15, 15, 3, 255, 7, 7, 7]], dtype=np.uint8)
    found = instances_of(objects, classes)
    assert [(i.number, i.category_id, int(i.mask.sum())) for i in found] == [(1, 15, 4), (2, 7, 2)]
    with pytest.raises(ValueError, match="object 2 lies on no pixel of a category"):
        instances_of(objects, np.where(objects == 2, 255, classes).astype(np.uint8))
    with pytest.raises(ValueError, match=r"object 1 lies"):
        instances_of(objects, np.full_like(classes, 21))


def test_names_without_digits_are_numbered() -> None:
    assert numbers_of(["2007_000032", "2007_000033"]) == (2007000032, 2007000033)
    assert numbers_of(["2007_000032", "street"]) == (1, 2)
    assert numbers_of(["0", "1"]) == (1, 2)


def test_fingerprint_changes_with_content_only(folder: Path) -> None:
    first = VocDataset(folder, "train").fingerprint()
    assert VocDataset(folder.parent, "train").fingerprint() == first
    assert VocDataset(folder, "val").fingerprint() != first
    picture = folder / "SegmentationClass" / "2007_000032.png"
    picture.write_bytes((folder / "SegmentationClass" / "2008_000008.png").read_bytes())
    assert VocDataset(folder, "train").fingerprint() != first
