"""From an export of each tool to a model, and its predictions back, by commands alone."""

import json
from pathlib import Path

import pytest

from wsislib.cli import main
from wsislib.data.world import WorldDataset, WorldSpec, export_coco
from wsislib.formats.convert import Target

TOOLS: dict[Target, str] = {
    "cvat": "annotations.xml",
    "label-studio": "export.json",
    "labelme": "labelme",
    "yolo": "yolo",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("own") / "data"
    export_coco(WorldDataset(WorldSpec(categories=4, size=64), seed=0, count=6), place)
    return place


def run(*words: str | Path) -> None:
    assert main([str(word) for word in words]) == 0


@pytest.mark.parametrize("tool", TOOLS)
def test_an_export_of_each_tool_passes_the_check(folder: Path, tmp_path: Path, tool: str) -> None:
    export, back = tmp_path / TOOLS[tool], tmp_path / "back.json"
    images = ["--images", folder / "images"]
    run("data", "convert", folder / "annotations.json", "--to", export, "--as", tool)
    run("data", "convert", export, "--to", back, *images)
    run("data", "check", back, *images)
    before = json.loads((folder / "annotations.json").read_text())
    after = json.loads(back.read_text())
    assert len(after["annotations"]) == len(before["annotations"])
    assert {c["name"] for c in after["categories"]} <= {c["name"] for c in before["categories"]}


@pytest.mark.slow
def test_labels_train_a_model_whose_masks_come_back(folder: Path, tmp_path: Path) -> None:
    shapes, labels, model = tmp_path / "labelme", tmp_path / "labels.json", tmp_path / "model"
    images = ["--images", folder / "images"]
    run("data", "convert", folder / "annotations.json", "--to", shapes, "--as", "labelme")
    run("data", "convert", shapes, "--to", labels, *images)
    sides = ["--train", tmp_path / "train.json", "--val", tmp_path / "val.json", "--share", "0.4"]
    run("data", "split", labels, *sides)
    short = ["--steps", "2", "--batch-size", "2", "--image-side", "64", "64", "--device", "cpu"]
    run("train", tmp_path / "train.json", "--out", model, *images, *short)
    found = tmp_path / "found.json"
    run("export", tmp_path / "val.json", "--model", model, "--out", found, "--score", "0", *images)
    for tool in ("labelme", "label-studio"):
        out = tmp_path / "found" / TOOLS[tool]
        run("data", "convert", found, "--to", out, "--as", tool, *images)
        run("data", "convert", out, "--to", tmp_path / f"{tool}.json", *images)
        before, after = (
            sorted(
                (a["score"], a["segmentation"]["counts"])
                for a in json.loads(p.read_text())["annotations"]
            )
            for p in (found, tmp_path / f"{tool}.json")
        )
        assert before == after
        assert before
