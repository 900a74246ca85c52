"""Every fault of a COCO file is found: with code, ids, message and remedy, and nothing written."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.miniatures import coco
from tests.miniatures.coco_faults import ERRORS, NAN, SIZE, WARNINGS, Edit, by_id, change
from wsislib.data.photographs.coco import CocoDataset
from wsislib.data.photographs.validate import Problem, check_coco, require_trainable
from wsislib.data.rle import MAX_INSTANCES
from wsislib.data.sample import LabelKind


def write(tmp_path: Path, edit: Edit | None = None) -> Path:
    document = coco.document()
    if edit is not None:
        edit(document)
    return coco.write(tmp_path, document)


def check(path: Path, **options: object) -> list[Problem]:
    return check_coco(path, path.parent / "images", **options).problems


def new_problems(path: Path, **options: object) -> list[Problem]:
    """Problems beyond the two warnings that the whole miniature has."""
    known = {"image-unlabelled", "exif-orientation"}
    return [problem for problem in check(path, **options) if problem.code not in known]


def test_the_miniature_may_train(tmp_path: Path, snapshot: Callable) -> None:
    path = write(tmp_path)
    before = snapshot(tmp_path)
    report = check_coco(path, tmp_path / "images")
    assert report.may_train
    assert [(p.severity, p.code, p.image_id) for p in report.problems] == [
        ("warning", "exif-orientation", 99),
        ("warning", "image-unlabelled", 99),
        ("warning", "image-unlabelled", 100),
    ]
    assert (report.images, report.annotations) == (9, 10)
    assert snapshot(tmp_path) == before
    require_trainable(report)


# The loader looks at the skeleton at once and at the rest when it comes to it.
SKELETON = {
    "missing-key",
    "no-categories",
    "no-images",
    "zero-id",
    "duplicate-id",
    "unknown-category",
    "unknown-image",
    "image-size",
}
# Leaving out a record or a list also breaks what refers to it.
CASCADING = {"missing-key", "no-categories", "no-images", "wrong-type"}


@pytest.mark.parametrize("fault", ERRORS)
def test_errors(tmp_path: Path, snapshot: Callable, fault: str) -> None:
    edit, code, image_id, annotation_id, message = ERRORS[fault]
    path = write(tmp_path, edit)
    before = snapshot(tmp_path)
    report = check_coco(path, tmp_path / "images")
    found = [(p.code, p.image_id, p.annotation_id) for p in report.errors]
    if code not in CASCADING:
        assert found == [(code, image_id, annotation_id)]
    problem = report.errors[found.index((code, image_id, annotation_id))]
    assert message in problem.message
    assert problem.remedy
    assert str(tmp_path) in problem.file
    assert not report.may_train
    with pytest.raises(ValueError, match="may not start") as caught:
        require_trainable(report)
    assert problem.message in str(caught.value)
    loader_refuses(path, code, image_id)
    assert snapshot(tmp_path) == before


def loader_refuses(path: Path, code: str, image_id: int | None) -> None:
    if code in SKELETON:
        with pytest.raises(ValueError, match=code):
            CocoDataset(path, path.parent / "images")
    elif code.startswith(("polygon", "rle", "segmentation", "path", "image", "size")):
        dataset = CocoDataset(path, path.parent / "images")
        with pytest.raises(ValueError, match=f"image {image_id}: "):
            dataset[dataset.image_ids.index(image_id)]


@pytest.mark.parametrize("fault", WARNINGS)
def test_warnings(tmp_path: Path, fault: str) -> None:
    edit, code, image_id, annotation_id, message = WARNINGS[fault]
    report = check_coco(write(tmp_path, edit), tmp_path / "images")
    found = [p for p in report.problems if p.code not in ("image-unlabelled", "exif-orientation")]
    assert [(p.severity, p.code, p.image_id, p.annotation_id) for p in found] == [
        ("warning", code, image_id, annotation_id)
    ]
    assert message in found[0].message
    assert report.may_train
    CocoDataset(tmp_path / "annotations.json", tmp_path / "images")


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    faults = ["box empty", "image missing", "annotation id twice"]
    edits = [ERRORS[name][0] for name in faults] + [change("annotations", 9, category_id=1)]

    def edit(document: dict) -> None:
        for one in edits:
            one(document)

    codes = [problem.code for problem in new_problems(write(tmp_path, edit))]
    assert {"box-empty", "image-missing", "duplicate-id", "unknown-category"} <= set(codes)


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        ("", "not-json", "is not JSON"),
        ('{"images": [', "not-json", "is not JSON"),
        ("[" * 100_000, "not-json", "is not JSON"),
        ("[]", "wrong-type", "holds a JSON list"),
        ('"text"', "wrong-type", "holds a JSON str"),
    ],
)
def test_files_that_are_no_document(tmp_path: Path, content: str, code: str, message: str) -> None:
    path = write(tmp_path)
    path.write_text(content)
    problems = check(path)
    assert [(p.severity, p.code, p.file) for p in problems] == [("error", code, str(path))]
    assert message in problems[0].message


def test_binary_and_absent_files(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_bytes(b"\xff\xfe\x00\x81")
    assert [p.code for p in check(path)] == ["not-json"]
    assert [p.code for p in check(tmp_path / "none.json")] == ["file-unreadable"]
    assert [p.code for p in check(tmp_path)] == ["file-unreadable"]


def test_an_absent_image_folder_is_one_error(tmp_path: Path) -> None:
    problems = check_coco(write(tmp_path), tmp_path / "pictures").errors
    assert [(p.code, p.file) for p in problems] == [("no-image-folder", str(tmp_path / "pictures"))]


@pytest.mark.parametrize("name", ["plain.png", "photo.jpg"])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_truncated_images(tmp_path: Path, name: str, share: float) -> None:
    path = write(tmp_path)
    image = tmp_path / "images" / name
    content = image.read_bytes()
    image.write_bytes(content[: int(len(content) * share)])
    image_id = next(number for number, file in coco.FILES.items() if file == name)
    (problem,) = check_coco(path, tmp_path / "images").errors
    assert (problem.code, problem.image_id, problem.file) == (
        "image-unreadable", image_id, str(image)
    )  # fmt: skip


def turned_picture(folder: Path, orientation: int) -> None:
    """Another `turned.jpg`, whose stored pixels are 40 x 32."""
    exif = coco.Image.Exif()
    exif[0x0112] = orientation
    image = coco.Image.fromarray(coco.pixels(99))
    image.save(folder / "images" / "turned.jpg", exif=exif.tobytes())


def test_labels_of_stored_pixels_are_told_by_their_size(tmp_path: Path) -> None:
    path = write(tmp_path)
    turned_picture(tmp_path, 6)
    (problem,) = check_coco(path, tmp_path / "images").errors
    assert (problem.code, problem.image_id) == ("labels-not-upright", 99)
    assert "is 32 x 40 pixels upright, the record says 40 x 32" in problem.message
    assert "EXIF orientation 6" in problem.message
    assert f"`wsis data turn {path} --out" in problem.remedy


def test_labels_of_the_upright_picture_are_right(tmp_path: Path) -> None:
    path = write(tmp_path, change("images", 99, width=coco.HEIGHT, height=coco.WIDTH))
    turned_picture(tmp_path, 6)
    report = check_coco(path, tmp_path / "images")
    assert report.may_train
    assert not [p for p in report.problems if p.code == "exif-orientation"]


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_where_sizes_cannot_tell_there_is_a_question(tmp_path: Path, orientation: int) -> None:
    path = write(tmp_path)
    turned_picture(tmp_path, orientation)
    (problem,) = (
        p for p in check_coco(path, tmp_path / "images").problems if p.code == "exif-orientation"
    )
    assert (problem.severity, problem.image_id) == ("warning", 99)
    assert "Were its labels drawn so?" in problem.message and "--unsure turn" in problem.remedy
    path = write(tmp_path, change("images", 99, labels_upright=True))
    codes = {p.code for p in check_coco(path, tmp_path / "images").problems}
    assert "exif-orientation" not in codes, "it was answered"


def test_too_many_instances(tmp_path: Path) -> None:
    def edit(document: dict) -> None:
        one = by_id(document, "annotations", 5)
        document["annotations"] += [{**one, "id": 1000 + i} for i in range(MAX_INSTANCES)]

    (problem,) = check_coco(write(tmp_path, edit), tmp_path / "images").errors
    assert (problem.code, problem.image_id) == ("too-many-instances", 12)


def test_kinds_that_are_asked_for(tmp_path: Path) -> None:
    """`least` is what every annotation must have, `kind` the dearest that is read."""

    def edit(document: dict) -> None:
        del by_id(document, "annotations", 5)["segmentation"]
        for key in ("segmentation", "bbox"):
            del by_id(document, "annotations", 6)[key]
        by_id(document, "annotations", 6)["point"] = [5.5, 21.5]

    path = write(tmp_path, edit)

    def missing(**options: LabelKind) -> list[int | None]:
        return [p.annotation_id for p in check(path, **options) if p.code == "kind-missing"]

    assert missing() == [6]
    assert missing(least=LabelKind.MASK) == [5, 6]
    assert missing(least=LabelKind.POINT) == []
    assert missing(least=LabelKind.TAG) == []
    assert missing(kind=LabelKind.BOX) == [6]
    assert missing(kind=LabelKind.TAG) == []
    # Points are not made up from masks or boxes.
    everyone = [record["id"] for record in coco.document()["annotations"]]
    assert sorted(missing(kind=LabelKind.POINT)) == [i for i in everyone if i not in (6, 21)]


def test_crowd_regions_need_no_kind_but_must_decode(tmp_path: Path) -> None:
    path = write(tmp_path, change("annotations", 21, segmentation={"size": SIZE, "counts": [1]}))
    (problem,) = check_coco(path, tmp_path / "images").errors
    assert (problem.code, problem.annotation_id) == ("rle-counts", 21)


def test_a_random_file_never_crashes_the_check(tmp_path: Path) -> None:
    """Replace every value of the document in turn by something else."""
    values = [None, -1, 0, 1.5, NAN, 10**400, "x", [], {}, [[]], True]
    generator = np.random.default_rng(0)
    coco.write(tmp_path)
    path = tmp_path / "odd.json"
    for name in ("images", "annotations", "categories"):
        for key in coco.document()[name][0]:
            for value in values:
                document = coco.document()
                place = int(generator.integers(len(document[name])))
                document[name][place][key] = value
                path.write_text(json.dumps(document))
                report = check_coco(path, tmp_path / "images")
                assert json.loads(report.to_json())["may_train"] == report.may_train
