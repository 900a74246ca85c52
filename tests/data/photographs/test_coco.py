"""The COCO loader against masks that are known without a decoder."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO

from tests.miniatures import coco
from wsislib.data.photographs.coco import CocoDataset
from wsislib.data.sample import Dataset, LabelKind, Sample


@pytest.fixture
def annotations(tmp_path: Path) -> Path:
    return coco.write(tmp_path)


def load(path: Path, **options: object) -> CocoDataset:
    return CocoDataset(path, path.parent / "images", **options)


def sample_of(dataset: CocoDataset, image_id: int) -> Sample:
    return dataset[dataset.image_ids.index(image_id)].check(len(dataset.categories))


def test_it_is_a_data_set(annotations: Path) -> None:
    dataset = load(annotations)
    assert isinstance(dataset, Dataset)
    assert [(category.id, category.name) for category in dataset.categories] == [*coco.CATEGORIES]
    assert dataset.image_ids == tuple(coco.FILES)
    assert len(dataset) == len(coco.FILES)


def test_every_mask_box_and_category_is_the_files(annotations: Path) -> None:
    dataset = load(annotations)
    records = coco.document()["annotations"]
    ids = [number for number, _ in coco.CATEGORIES]
    for image_id in dataset.image_ids:
        own = [r for r in records if r["image_id"] == image_id and not r["iscrowd"]]
        label = sample_of(dataset, image_id).label
        assert label.kind == LabelKind.MASK
        assert label.kinds is None
        assert label.categories.tolist() == [ids.index(r["category_id"]) for r in own]
        for entry, record in enumerate(own):
            assert np.array_equal(label.masks[entry].numpy(), coco.truth()[record["id"]])
            x, y, w, h = record["bbox"]
            assert label.boxes[entry].tolist() == [x, y, x + w, y + h]


def test_an_image_without_annotations_is_kept_and_empty(annotations: Path) -> None:
    label = sample_of(load(annotations), 100).label
    assert len(label) == 0
    assert label.masks.shape == (0, coco.HEIGHT, coco.WIDTH)


def test_order_of_categories_is_that_of_their_ids(tmp_path: Path) -> None:
    document = coco.document()
    document["categories"].reverse()
    dataset = load(coco.write(tmp_path, document))
    assert [category.id for category in dataset.categories] == [3, 17, 90]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools
def test_ground_truth_reads_as_pycocotools_reads_the_file(annotations: Path) -> None:
    truth = load(annotations).ground_truth()
    assert json.loads(json.dumps(truth)) == truth
    assert [a["id"] for a in truth["annotations"]] == list(range(1, len(coco.truth()) + 1))
    assert {r["id"] for r in truth["images"]} == set(coco.FILES)
    reference = COCO(str(annotations))
    records = [a for i in coco.FILES for a in reference.imgToAnns[i]]
    ours = COCO()
    ours.dataset = truth
    ours.createIndex()
    for record, own in zip(records, truth["annotations"], strict=True):
        for key in ("image_id", "category_id", "iscrowd", "area", "bbox"):
            assert own[key] == record[key]
        assert np.array_equal(ours.annToMask(own), reference.annToMask(record))
    assert sum(a["iscrowd"] for a in truth["annotations"]) == 1


def test_some_images_only(annotations: Path) -> None:
    dataset = load(annotations, image_ids=[41, 12])
    assert dataset.image_ids == (41, 12)
    assert {a["image_id"] for a in dataset.ground_truth()["annotations"]} == {12, 41}
    with pytest.raises(ValueError, match="no image 5"):
        load(annotations, image_ids=[5])


def test_some_categories_only(annotations: Path) -> None:
    whole, some = load(annotations), load(annotations, category_ids=[90, 3])
    assert [category.id for category in some.categories] == [3, 90]
    assert some.image_ids == whole.image_ids
    truth = some.ground_truth()
    assert truth["categories"] == [c for c in whole.ground_truth()["categories"] if c["id"] != 17]
    kept = [a for a in whole.ground_truth()["annotations"] if a["category_id"] != 17]
    assert 0 < len(kept) < len(whole.ground_truth()["annotations"])
    assert [{**a, "id": 0} for a in truth["annotations"]] == [{**a, "id": 0} for a in kept]
    for image_id in whole.image_ids:
        own = [a for a in kept if a["image_id"] == image_id and not a["iscrowd"]]
        found = sample_of(some, image_id).label
        assert found.categories.tolist() == [(3, 90).index(a["category_id"]) for a in own]
    assert some.fingerprint() != whole.fingerprint()
    with pytest.raises(ValueError, match="no category 5, which category_ids asks for"):
        load(annotations, category_ids=[5])


def test_fingerprint_changes_with_content_only(annotations: Path) -> None:
    first = load(annotations).fingerprint()
    document = coco.document()
    annotations.write_text(json.dumps({**document, "info": {"year": 2026}}, indent=3))
    assert load(annotations).fingerprint() == first
    seen = {first, load(annotations, image_ids=[12]).fingerprint()}
    document["annotations"][0]["bbox"][0] += 1
    annotations.write_text(json.dumps(document))
    seen.add(load(annotations).fingerprint())
    annotations.write_text(json.dumps(coco.document()))
    (annotations.parent / "images" / "plain.png").write_bytes(
        (annotations.parent / "images" / "empty.png").read_bytes()
    )
    seen.add(load(annotations).fingerprint())
    assert len(seen) == 4


def test_a_broken_skeleton_is_refused_with_the_whole_report(tmp_path: Path) -> None:
    document = coco.document()
    document["annotations"][0]["image_id"] = 555
    del document["annotations"][1]["category_id"]
    path = coco.write(tmp_path, document)
    with pytest.raises(ValueError, match="unknown-image") as caught:
        load(path)
    assert "missing-key" in str(caught.value)
    assert str(path) in str(caught.value)


def test_missing_and_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.json: cannot be read"):
        load(tmp_path / "none.json")
    (tmp_path / "half.json").write_text('{"images": [')
    with pytest.raises(ValueError, match=r"half\.json: is not JSON"):
        load(tmp_path / "half.json")


def test_reading_names_image_and_annotation(annotations: Path) -> None:
    document = coco.document()
    document["annotations"][0]["segmentation"] = [[1, 1, 1e9, 1, 5, 5]]
    document["images"][2]["width"] = 41
    document["images"][3]["file_name"] = "../annotations.json"
    annotations.write_text(json.dumps(document))
    dataset = load(annotations)
    with pytest.raises(ValueError, match=r"annotations\.json, image 12: annotation 5: polygon 0"):
        sample_of(dataset, 12)
    with pytest.raises(ValueError, match=r"image 40: deep/grey\.png has 40 x 32 .* says 41 x 32"):
        sample_of(dataset, 40)
    with pytest.raises(ValueError, match="image 41: .* leads out of the image folder"):
        sample_of(dataset, 41)
    with pytest.raises(ValueError, match="image 12, annotation 5: polygon 0"):
        dataset.ground_truth()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bbox": ["2", 3, 8, 9]}, "'bbox' holds '2', must be"),
        ({"bbox": [2, 3, 8]}, r"'bbox' is \[2, 3, 8\]"),
        ({"bbox": [2, float("nan"), 8, 9]}, "'bbox' holds nan"),
        ({"bbox": [2, 3, 10**400, 9]}, "beyond any image"),
        ({"segmentation": [[2.0, 3.0, 2.1, 3.0, 2.1, 3.1]]}, "its mask covers no pixel"),
        ({"segmentation": None, "bbox": None, "point": [41, 3]}, "lies outside the image"),
        ({"segmentation": None, "bbox": None, "point": [1, 2, 3]}, r"must be \[x, y\]"),
        ({"segmentation": None, "bbox": None, "point": 7}, "'point' is 7"),
    ],
)
def test_what_cannot_be_read_is_one_error(tmp_path: Path, fields: dict, message: str) -> None:
    document = coco.document()
    document["annotations"][0].update(fields)
    with pytest.raises(ValueError, match=f"image 12: annotation 5: .*{message}"):
        sample_of(load(coco.write(tmp_path, document)), 12)


def test_ground_truth_needs_every_mask(tmp_path: Path) -> None:
    document = coco.document()
    document["annotations"][0]["segmentation"] = []
    with pytest.raises(ValueError, match="image 12, annotation 5: has no mask"):
        load(coco.write(tmp_path, document)).ground_truth()


def test_images_are_the_stored_pixels(annotations: Path) -> None:
    image = sample_of(load(annotations), 12).image
    wanted = torch.from_numpy(coco.pixels(12)).permute(2, 0, 1).float() / 255
    assert torch.equal(image, wanted)
