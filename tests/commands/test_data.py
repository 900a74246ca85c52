"""`wsis data check` and `wsis data make`: exit codes and output."""

import json
from pathlib import Path

import pytest

from tests.miniatures import coco, voc
from wsislib.commands.data import check, make


def test_a_good_file_ends_with_0(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = coco.write(tmp_path)
    assert check(path) == 0
    assert "Training may start." in capsys.readouterr().out
    assert check(tmp_path, json=True) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["may_train"] is True
    assert captured.err == ""


def test_a_bad_file_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    document = coco.document()
    document["annotations"][0]["bbox"] = [0, 0, 0, 0]
    path = coco.write(tmp_path, document)
    assert check(path, json=True) == 1
    (problem,) = [
        p for p in json.loads(capsys.readouterr().out)["problems"] if p["severity"] == "error"
    ]
    assert (problem["code"], problem["annotation_id"]) == ("box-empty", 5)
    assert check(path) == 1
    captured = capsys.readouterr()
    assert "Training may not start" in captured.out
    assert "--mend COPY.json" in captured.err
    assert check(tmp_path / "none.json") == 1
    assert check(path, images=tmp_path / "none") == 1


def test_mending_writes_a_copy_and_judges_it(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    document = coco.document()
    document["annotations"][0]["bbox"] = [0, 0, 0, 0]
    path, target = coco.write(tmp_path, document), tmp_path / "elsewhere" / "mended.json"
    target.parent.mkdir()
    assert check(path, mend=target) == 0
    captured = capsys.readouterr()
    assert "left out: " in captured.err
    assert "annotation 5: box [0, 0, 0, 0] is empty" in captured.err
    assert "9 images, 9 annotations, 0 errors" in captured.out
    with pytest.raises(ValueError, match="exists already"):
        check(path, mend=target)
    good = coco.write(tmp_path / "good")
    assert check(good, mend=tmp_path / "none.json") == 0
    assert not (tmp_path / "none.json").exists()
    with pytest.raises(ValueError, match="--mend is for a COCO JSON file"):
        check(voc.write(tmp_path / "voc"), mend=tmp_path / "none.json")


def test_kinds_are_passed_on(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    document = coco.document()
    for key in ("bbox", "segmentation"):
        del document["annotations"][0][key]
    path = coco.write(tmp_path, document)
    assert check(path) == 1
    assert check(path, least="tag") == 0
    assert check(path, kind="tag") == 0
    assert check(path, kind="point") == 1
    capsys.readouterr()


def test_a_voc_folder(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    folder = voc.write(tmp_path)
    assert check(tmp_path) == 0
    assert check(folder, split="trainaug") == 0
    assert check(folder, split="test") == 1
    captured = capsys.readouterr()
    assert "split-missing" in captured.out
    assert captured.err == ""


def test_options_of_the_other_format_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--split is for a VOC folder"):
        check(coco.write(tmp_path / "coco"), split="val")
    with pytest.raises(ValueError, match="are for a COCO JSON file"):
        check(voc.write(tmp_path / "voc"), kind="box")


def test_made_scenes_pass_the_check(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    folder = tmp_path / "world"
    assert make(folder, categories=8, count=6, size=64, seed=3) == 0
    assert check(folder, json=True) == 0
    report = json.loads(capsys.readouterr().out.split("\n", 1)[1])
    assert report["images"] == 6
    assert report["problems"] == []
    with pytest.raises(ValueError, match="holds other scenes"):
        make(folder, categories=8, count=6, size=64, seed=4)
