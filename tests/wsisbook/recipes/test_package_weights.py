"""The weights that ship with the package: how they are made, and the ones that are there."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from wsisbook.cli import main
from wsisbook.recipes.lab_backbone_recipe import mean_average_precision
from wsisbook.recipes.package_weights import NAMES, install_weights, write_package_weights
from wsislib.engine.weights import read_meta, read_tensors
from wsislib.models.assets import (
    PHOTO_SAM,
    START_MASK2FORMER,
    START_MASK_RCNN,
    assets_folder,
    read_asset,
)


def test_weights_are_written_installed_and_read_back(tmp_path: Path) -> None:
    model = nn.Linear(3, 2)
    path = write_package_weights(tmp_path / "run", "toy", model, {"recipe": {"steps": 3}})
    install_weights(tmp_path / "run", "toy", tmp_path / "package")
    tensors, manifest = read_asset("toy", tmp_path / "package")
    assert torch.equal(tensors["weight"], model.weight)
    assert manifest["recipe"] == {"steps": 3}
    assert manifest["parameters"] == 8
    assert manifest["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_is_not_there_or_damaged_is_not_installed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"toy.safetensors is not there: training .* not ended"):
        install_weights(tmp_path, "toy", tmp_path / "package")
    path = write_package_weights(tmp_path, "toy", nn.Linear(3, 2), {})
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"toy.safetensors: cut short or altered"):
        install_weights(tmp_path, "toy", tmp_path / "package")
    assert not (tmp_path / "package").exists()


@pytest.mark.parametrize("name", ["tiny-sam", "lab-backbone"])
def test_a_recipe_runs_to_its_end(name: str, tmp_path: Path) -> None:
    assert main(["teacher", "train", name, "--scale", "smoke", "--out", str(tmp_path)]) == 0
    stem = name.replace("-", "_")
    manifest = json.loads((tmp_path / f"{stem}.json").read_text())
    assert manifest["recipe"]["steps"] == 3
    assert manifest["quality"]
    first = (tmp_path / f"{stem}.safetensors").read_bytes()
    assert main(["teacher", "train", name, "--scale", "smoke", "--out", str(tmp_path)]) == 0
    assert (tmp_path / f"{stem}.safetensors").read_bytes() == first  # nothing was left to do


def test_mean_average_precision_counts_ranks() -> None:
    scores = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    present = torch.tensor([[True, False], [False, False], [True, False], [False, False]])
    assert mean_average_precision(scores, present) == pytest.approx((1 + 2 / 3) / 2)
    assert mean_average_precision(scores, present.flip(1)) == pytest.approx((1 / 2 + 2 / 4) / 2)


@pytest.mark.parametrize("name", [n for n in NAMES if (assets_folder() / f"{n}.json").exists()])
def test_the_weights_of_the_package_are_sound(name: str) -> None:
    path = assets_folder() / f"{name}.safetensors"
    manifest = read_meta(path)  # sealed, as the engine writes it
    assert read_asset(name)[0].keys() == read_tensors(path, manifest).keys()
    starts = name in (START_MASK2FORMER, START_MASK_RCNN)
    photographs = starts or name == PHOTO_SAM
    assert path.stat().st_size < (12_000_000 if photographs else 8 * 2**20)
    source = {"data", "may_start", "not_for"} if starts else {"world_version"}
    source = {"use", "data_sha256"} if name == PHOTO_SAM else source
    assert {"recipe", "quality", "sha256"} | source <= manifest.keys()
