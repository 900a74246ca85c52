"""What a file says as a whole: nothing to learn, no pixels, too many objects, links."""

from pathlib import Path

import pytest

from tests.miniatures import coco
from wsislib.data.photographs.validate import Problem, check_coco


def problems(path: Path, **options: bool) -> list[Problem]:
    return check_coco(path, path.parent / "images", **options).problems


def test_images_without_objects_may_be_meant(tmp_path: Path) -> None:
    path = coco.write(tmp_path, {**coco.document(), "annotations": []})
    (problem,) = [p for p in problems(path) if p.code != "exif-orientation"]
    assert (problem.code, problem.severity) == ("no-annotation", "error")
    assert "--allow-empty" in problem.remedy
    meant = problems(path, allow_empty=True)
    assert [p.severity for p in meant if p.code == "image-unlabelled"] == ["warning"] * 9
    assert not [p for p in meant if p.severity == "error"]


def test_some_crowd_and_a_mask_in_the_corner_are_no_fault(tmp_path: Path) -> None:
    document = coco.document()
    for annotation in document["annotations"][1:]:
        annotation["iscrowd"] = 1
    corner = [[0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0]]
    document["annotations"][0].update(bbox=[0, 0, 1, 1], segmentation=corner, area=1)
    codes = {p.code for p in problems(coco.write(tmp_path, document))}
    assert not codes & {"all-crowd", "fractions", "box-thin"}


def test_points_and_polygons_may_be_fractions_too(tmp_path: Path) -> None:
    document = coco.document()
    for annotation in document["annotations"]:
        annotation.update(bbox=[], area=None, segmentation=[[0.1, 0.1, 0.5, 0.1, 0.5, 0.5]])
    document["annotations"][0] = {**document["annotations"][0], "segmentation": None}
    document["annotations"][0]["point"] = [0.5, 0.25]
    found = [p for p in problems(coco.write(tmp_path, document)) if p.code == "fractions"]
    assert "10 of 10 annotations" in found[0].message


def test_a_box_thinner_than_a_pixel_is_shouted(tmp_path: Path) -> None:
    document = coco.document()
    document["annotations"][0].update(bbox=[2, 3, 8, 0.4], segmentation=[], area=None)
    (thin,) = [p for p in problems(coco.write(tmp_path, document)) if p.code == "box-thin"]
    assert (thin.severity, thin.annotation_id) == ("warning", 5)
    assert "[2, 3, 8, 0.4] is thinner than a pixel" in thin.message


def test_more_objects_than_the_metric_counts(tmp_path: Path) -> None:
    document = coco.document()
    one = document["annotations"][0]
    document["annotations"] = [{**one, "id": i, "area": None} for i in range(1, 152)]
    (problem,) = [p for p in problems(coco.write(tmp_path, document)) if p.code == "many-objects"]
    assert problem.severity == "warning"
    assert "(up to 151; images 12)" in problem.message
    assert "perfect predictions of this file reach AP 66.3" in problem.message
    assert "--max-detections 151" in problem.remedy


def test_links_out_of_the_folder_are_followed_on_demand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = coco.write(tmp_path / "data")
    image, store = tmp_path / "data" / "images" / "plain.png", tmp_path / "store"
    store.mkdir()
    image.rename(store / "blob.png")
    image.symlink_to(store / "blob.png")
    (problem,) = [p for p in problems(path) if p.severity == "error"]
    assert (problem.code, problem.image_id) == ("path-outside", 12)
    assert "--follow-links" in problem.remedy
    monkeypatch.setenv("WSIS_FOLLOW_LINKS", "1")
    assert not [p for p in problems(path) if p.severity == "error"]


def test_key_points_with_empty_boxes_are_points_to_convert(tmp_path: Path) -> None:
    document = coco.document()
    for annotation in document["annotations"]:
        annotation.pop("segmentation", None)
        annotation.update(keypoints=[5, 5, 2], num_keypoints=1, bbox=[5, 5, 0, 0], area=0)
    found = [p for p in problems(coco.write(tmp_path, document)) if p.code == "key-points"]
    assert len(found) == len(document["annotations"])
    assert "`wsis data convert FILE --to CLEAN.json`" in found[0].remedy
