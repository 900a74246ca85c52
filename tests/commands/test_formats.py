"""`wsis data convert` and `wsis data split`: from an export to corrected labels."""

import json
import unicodedata
from pathlib import Path

import pytest

from tests.formats import drawn
from wsislib.cli import main
from wsislib.formats.cvat import write_cvat
from wsislib.formats.record import ConversionReport


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """A CVAT export beside its pictures, with one turned box."""
    labels = drawn.labels()
    drawn.write_pictures(tmp_path / "images", labels)
    text = write_cvat(labels, ConversionReport()).decode().replace("<box ", '<box rotation="5" ')
    (tmp_path / "annotations.xml").write_text(text)
    return tmp_path


def test_an_export_becomes_checked_labels(export: Path, capsys: pytest.CaptureFixture) -> None:
    out = export / "labels.json"
    assert main(["data", "convert", str(export / "annotations.xml"), "--to", str(out)]) == 0
    said = capsys.readouterr().out
    assert "read as cvat: 2 images, 3 masks, 1 boxes, 1 points, 1 tags" in said
    assert "rotated box, read as the upright box around it (1)" in said
    assert f"next: wsis data check {out} --least tag" in said
    assert main(["data", "check", str(out), "--least", "tag"]) == 0
    assert main(["data", "convert", str(export / "annotations.xml"), "--to", str(out)]) == 2
    assert "say --force" in capsys.readouterr().err
    assert main(["data", "convert", str(out), "--to", str(out), "--force"]) == 2
    assert "is the source" in capsys.readouterr().err


def test_predictions_go_out_and_come_back(export: Path, capsys: pytest.CaptureFixture) -> None:
    """A document with scores, as `wsis export` and `wsis predict` write it."""
    out, shapes, again = export / "a.json", export / "labelme", export / "corrected.json"
    main(["data", "convert", str(export), "--to", str(out)])
    document = json.loads(out.read_text())
    for annotation in document["annotations"]:
        annotation["score"] = annotation["id"] / 10
    (export / "found.json").write_text(json.dumps(document))
    words = ["data", "convert", str(export / "found.json")]
    wanted = ["--as", "labelme", "--score", "0.25", "--outline", "1"]
    assert main([*words, "--to", str(shapes), *wanted]) == 0
    assert "prediction with a score below 0.25 (2)" in capsys.readouterr().out
    for file in shapes.rglob("*.json"):  # as a person would: another name, one shape less
        content = json.loads(file.read_text())
        for shape in content["shapes"][:1]:
            shape["label"] = "Ärger & <disc>"
        content["shapes"] = content["shapes"][:-1]
        file.write_text(json.dumps(content))
    like = ["--categories", str(out), "--images", str(export / "images")]
    assert main(["data", "convert", str(shapes), "--to", str(again), *like]) == 0
    corrected = json.loads(again.read_text())
    assert corrected["categories"] == document["categories"]
    assert len(corrected["annotations"]) == 3
    assert main(["data", "check", str(again), "--least", "tag"]) == 0


def test_a_source_that_is_unclear_is_refused(export: Path, capsys: pytest.CaptureFixture) -> None:
    def refused(source: Path, words: str) -> None:
        assert main(["data", "convert", str(source), "--to", str(export / "out.json")]) == 2
        assert words in capsys.readouterr().err
        assert not (export / "out.json").exists()

    refused(export / "images", "holds no labels that are recognised")
    refused(export / "none", "no such file or folder")
    for name, text, words in (
        ("a.zip", "PK", "is packed; unpack it"),
        ("a.txt", "0 1 1 1 1", "give the folder of YOLO's text files"),
        ("a.csv", "x", "not recognised as labels; say --from with one of coco"),
        ("a.json", "{}", "JSON of no format that is recognised"),
        ("b.json", "[" * 100_000, "is not JSON"),
        ("a.xml", "<svg/>", "begins with <svg>; CVAT's and VOC's XML are read"),
    ):
        (export / "odd").mkdir(exist_ok=True)
        (export / "odd" / name).write_text(text)
        refused(export / "odd" / name, words)
    (export / "data.yaml").write_text("names: [a]")
    refused(export, "holds labels of cvat and yolo; say --from with one")


def folder_of(tmp_path: Path, count: int = 40) -> Path:
    """Four views of each of ten things; every third image has the rare category 2."""
    images = [
        {"id": i + 1, "file_name": f"p{i // 4:02d}_{i % 4}.png", "width": 9, "height": 9,
         "site": f"s{i // 20}"}
        for i in range(count)
    ]  # fmt: skip
    annotations = [
        {"id": 2 * i + k, "image_id": i + 1, "category_id": k, "bbox": [1, 1, 2, 2]}
        for i in range(count)
        for k in (1, 2)
        if k == 1 or i % 8 == 0
    ]
    annotations = [{**a, "id": n} for n, a in enumerate(annotations, start=1)]
    categories = [{"id": 1, "name": "often"}, {"id": 2, "name": "rare"}]
    path = tmp_path / "labels.json"
    document = {"images": images, "annotations": annotations, "categories": categories}
    path.write_text(json.dumps({**document, "drafts": [{"id": 99}]}))
    return path


def split(path: Path, *words: str) -> tuple[dict, dict]:
    outs = [path.parent / "train.json", path.parent / "val.json"]
    options = ["--train", str(outs[0]), "--val", str(outs[1]), "--force"]
    assert main(["data", "split", str(path), *options, *words]) == 0
    train, val = (json.loads(out.read_text()) for out in outs)
    return train, val


def names(part: dict) -> set[str]:
    return {record["file_name"] for record in part["images"]}


def test_a_split_is_whole_seeded_and_stratified(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = folder_of(tmp_path)
    before = path.read_bytes()
    train, val = split(path)
    assert "left behind: 1 unfinished drafts" in capsys.readouterr().out
    assert not names(train) & names(val)
    assert len(names(train) | names(val)) == 40
    assert len(val["images"]) == 8
    assert sum(a["category_id"] == 2 for a in val["annotations"]) == 1  # of 5
    assert train["categories"] == val["categories"]
    assert "drafts" not in train
    document = json.loads(before)
    document["images"].reverse()
    path.write_text(json.dumps(document))
    assert names(split(path)[1]) == names(val)
    assert names(split(path, "--seed", "1")[1]) != names(val)
    assert len(split(path, "--no-stratify", "--share", "0.5")[1]["images"]) == 20
    assert len(split(path, "--share", "0.001")[1]["images"]) == 1


@pytest.mark.parametrize("rule", ["prefix:_", r"regex:p(\d+)_", "field:site"])
def test_groups_stay_together(tmp_path: Path, rule: str) -> None:
    path = folder_of(tmp_path)
    train, val = split(path, "--by", rule, "--share", "0.3")
    cut = 3 if rule != "field:site" else 0
    groups = [
        {r["file_name"][:cut] if cut else r["site"] for r in p["images"]} for p in (train, val)
    ]
    assert not groups[0] & groups[1]
    assert all(groups)


def test_what_cannot_be_split(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = folder_of(tmp_path)

    def refused(words: str, *more: str, val: str = "b.json") -> None:
        options = ["--train", str(tmp_path / "a.json"), "--val", str(tmp_path / val)]
        assert main(["data", "split", str(path), *options, *more]) == 2
        assert words in capsys.readouterr().err

    refused("it must be above 0 and below 1", "--share", "1")
    refused("leaves no image to train on", "--share", "0.99", "--by", "field:site")
    refused("it may be image, folder", "--by", "colour")
    refused("no regular expression", "--by", "regex:(")
    refused("does not fit 'q'", "--by", "regex:q")
    refused("has no field 'patient'", "--by", "field:patient")
    refused("1 group of images cannot be split", "--by", "folder")
    refused("three different files", val="labels.json")
    (tmp_path / "b.json").write_text("mine")
    refused("say --force")
    assert (tmp_path / "b.json").read_text() == "mine"
    assert not (tmp_path / "a.json").exists()


def test_one_picture_is_never_on_both_sides(tmp_path: Path) -> None:
    path = folder_of(tmp_path)
    document = json.loads(path.read_text())
    document["images"] += [{**r, "id": r["id"] + 100} for r in document["images"]]
    document["images"][0]["file_name"] = unicodedata.normalize("NFC", "Ü.png")
    path.write_text(json.dumps(document))
    train, val = split(path)
    assert not names(train) & names(val)
