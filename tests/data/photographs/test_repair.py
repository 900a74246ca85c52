"""Faulty annotations are left out of a copy, and only when that is asked for."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.miniatures import coco
from tests.miniatures.coco_faults import ERRORS
from wsislib.data.photographs.validate import REPAIRABLE, check_coco, write_repaired


def broken(tmp_path: Path, fault: str) -> Path:
    document = coco.document()
    ERRORS[fault][0](document)
    return coco.write(tmp_path, document)


@pytest.mark.parametrize(
    "fault", [name for name, entry in ERRORS.items() if entry[1] in REPAIRABLE]
)
def test_what_is_repairable_is_repaired(tmp_path: Path, fault: str) -> None:
    if ERRORS[fault][3] is None:
        pytest.fail(f"{fault} is repairable but concerns no annotation")
    path = broken(tmp_path, fault)
    before = path.read_bytes()
    report = check_coco(path, tmp_path / "images")
    target = tmp_path / "mended.json"
    assert write_repaired(path, report, target) == 1
    assert path.read_bytes() == before
    assert check_coco(target, tmp_path / "images").may_train
    kept = [a["id"] for a in json.loads(target.read_text())["annotations"]]
    assert kept == [a["id"] for a in coco.document()["annotations"] if a["id"] != 5]


@pytest.mark.parametrize("fault", ["image missing", "duplicate-id", "no images", "size differs"])
def test_what_is_not_is_left_alone(tmp_path: Path, fault: str, snapshot: Callable) -> None:
    path = broken(tmp_path, {"duplicate-id": "annotation id twice"}.get(fault, fault))
    before = snapshot(tmp_path)
    report = check_coco(path, tmp_path / "images")
    assert write_repaired(path, report, tmp_path / "mended.json") == 0
    assert snapshot(tmp_path) == before


def test_an_existing_file_is_never_overwritten(tmp_path: Path, snapshot: Callable) -> None:
    path = broken(tmp_path, "box empty")
    before = snapshot(tmp_path)
    with pytest.raises(ValueError, match="exists already"):
        write_repaired(path, check_coco(path, tmp_path / "images"), path)
    assert snapshot(tmp_path) == before
