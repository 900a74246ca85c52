"""Every fault of a VOC folder is found, and nothing is written."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.miniatures import voc
from wsisbook.plan.dry_run_data import save_indices
from wsislib.data.photographs.validate import check_voc, require_trainable

NAME, IMAGE_ID = "2007_000032", 2007000032
Break = Callable[[Path], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return voc.write(tmp_path)


@pytest.mark.parametrize("split", list(voc.SPLITS))
def test_the_miniature_may_train(folder: Path, split: str, snapshot: Callable) -> None:
    before = snapshot(folder)
    report = check_voc(folder, split)
    assert report.problems == []
    assert report.images == len(voc.SPLITS[split])
    require_trainable(report)
    assert snapshot(folder) == before


def photo(folder: Path) -> Path:
    return folder / "JPEGImages" / f"{NAME}.jpg"


def objects(folder: Path) -> Path:
    return folder / "SegmentationObject" / f"{NAME}.png"


def classes(folder: Path) -> Path:
    return folder / "SegmentationClass" / f"{NAME}.png"


def split_file(folder: Path) -> Path:
    return folder / "ImageSets" / "Segmentation" / "train.txt"


def cut(find: Callable[[Path], Path]) -> Break:
    def halve(folder: Path) -> None:
        content = find(folder).read_bytes()
        find(folder).write_bytes(content[: len(content) // 2])

    return halve


def paint(find: Callable[[Path], Path], which: int, old: int, new: int) -> Break:
    def edit(folder: Path) -> None:
        picture = voc.pictures(NAME)[which].copy()
        picture[picture == old] = new
        save_indices(picture, find(folder))

    return edit


def smaller(folder: Path) -> None:
    for which, find in enumerate((objects, classes)):
        save_indices(voc.pictures(NAME)[which][:20], find(folder))


def mix(folder: Path) -> None:
    picture = voc.pictures(NAME)[1].copy()
    picture[3, 3] = 12
    save_indices(picture, classes(folder))


def nothing(folder: Path) -> None:
    for find in (objects, classes):
        save_indices(np.zeros((voc.HEIGHT, voc.WIDTH), dtype=np.uint8), find(folder))


FAULTS: dict[str, tuple[Break, list[tuple], Callable[[Path], Path], str]] = {
    "image missing": (
        lambda f: photo(f).unlink(),
        [("error", "image-missing", IMAGE_ID, None)], photo, "no such file"),
    "image truncated": (
        cut(photo), [("error", "image-unreadable", IMAGE_ID, None)], photo, "cannot be read"),
    "mask missing": (
        lambda f: objects(f).unlink(),
        [("error", "mask-missing", IMAGE_ID, None)], objects, "no such file"),
    "mask truncated": (
        cut(classes), [("error", "mask-unreadable", IMAGE_ID, None)], classes, "cannot be read"),
    "mask in colour": (
        lambda f: Image.new("RGB", (voc.WIDTH, voc.HEIGHT)).save(objects(f)),
        [("error", "mask-unreadable", IMAGE_ID, None)], objects, "no index picture"),
    "masks of other size": (
        smaller, [("error", "size-differs", IMAGE_ID, None)] * 2, classes,
        "has 36 x 20 pixels, its image 36 x 30"),
    "unknown category": (
        paint(classes, 1, 15, 21),
        [("error", "kind-missing", IMAGE_ID, 2), ("error", "unknown-category", IMAGE_ID, None)],
        objects, "object 2 lies on no pixel"),
    "object without category": (
        paint(classes, 1, 1, 255), [("error", "kind-missing", IMAGE_ID, 1)], objects,
        "object 1 lies on no pixel"),
    "mixed categories": (
        mix, [("warning", "category-mixed", IMAGE_ID, 1)], objects, "aeroplane, dog"),
    "no object": (
        nothing, [("warning", "image-unlabelled", IMAGE_ID, None)], objects, "holds no object"),
    "listed twice": (
        lambda f: split_file(f).write_text(f"{NAME}\n{NAME}\n"),
        [("error", "duplicate-id", IMAGE_ID, None)], split_file, "more than once"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_faults(folder: Path, fault: str, snapshot: Callable) -> None:
    break_it, expected, file, message = FAULTS[fault]
    break_it(folder)
    before = snapshot(folder)
    report = check_voc(folder, "train")
    found = [(p.severity, p.code, p.image_id, p.annotation_id) for p in report.problems]
    assert found == expected
    assert report.may_train == (expected[0][0] == "warning")
    here = [p for p in report.problems if p.file == str(file(folder))]
    assert any(message in problem.message for problem in here)
    assert all(problem.remedy for problem in report.problems)
    assert snapshot(folder) == before


def test_faults_of_the_folder_itself(tmp_path: Path) -> None:
    def codes(split: str) -> list[str]:
        return [problem.code for problem in check_voc(tmp_path, split).errors]

    assert codes("train") == ["no-voc-folder"]
    folder = voc.write(tmp_path, aug=False)
    assert codes("trainaug") == ["split-missing"]
    split_file(folder).write_text("")
    assert codes("train") == ["split-broken"]
    split_file(folder).write_bytes(b"\xff\xfe\x81")
    assert codes("train") == ["split-broken"]


def test_a_missing_pair_of_trainaug_says_where_it_may_lie(folder: Path) -> None:
    (folder / "SegmentationObjectAug" / "2010_000100.png").unlink()
    (problem,) = check_voc(folder, "trainaug").errors
    assert (problem.code, problem.image_id) == ("mask-missing", 2010000100)
    assert "without Aug" in problem.remedy
