"""Which SAM is loaded, and what is said where it cannot be."""

import hashlib
import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from segment_anything import sam_model_registry

from wsislib.models.assets import read_asset, read_manifest
from wsislib.models.sam import sam_weights
from wsislib.models.sam.sam_weights import CHECKPOINTS, load_sam
from wsislib.models.sam.tiny_sam import tiny_sam


def published(monkeypatch: pytest.MonkeyPatch, path: Path, state: object) -> None:
    """Write `path` and let it pass for the published ViT-B; its model becomes a tiny SAM."""
    torch.save(state, path)
    content = path.read_bytes()
    known = replace(
        CHECKPOINTS["sam_vit_b"], size=len(content), sha256=hashlib.sha256(content).hexdigest()
    )
    monkeypatch.setitem(CHECKPOINTS, "sam_vit_b", known)
    monkeypatch.setitem(sam_model_registry, "vit_b", tiny_sam)


def test_a_checkpoint_is_loaded_frozen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, wanted = tmp_path / "sam_vit_b_01ec64.pth", tiny_sam(seed=5)
    published(monkeypatch, path, wanted.state_dict())
    teacher = load_sam(path)
    assert teacher.name == "sam_vit_b_01ec64"
    assert teacher.fingerprint == hashlib.sha256(path.read_bytes()).hexdigest()
    for name, value in wanted.state_dict().items():
        assert torch.equal(teacher.sam.state_dict()[name], value)


def test_a_checkpoint_under_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.pth"
    published(monkeypatch, path, tiny_sam(seed=5).state_dict())
    assert load_sam(path, "vit_b").fingerprint == CHECKPOINTS["sam_vit_b"].sha256
    with pytest.raises(ValueError, match="mine.pth: not a teacher that is known"):
        load_sam(path)


@pytest.mark.parametrize("name", sorted(CHECKPOINTS))
def test_a_missing_file_says_where_to_get_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}_x.pth"
    with pytest.raises(ValueError) as caught:
        load_sam(path)
    message = str(caught.value)
    for fact in (str(path), CHECKPOINTS[name].url, CHECKPOINTS[name].sha256, "'photo'"):
        assert fact in message
    assert "\n" not in message


def test_digests_are_whole_and_names_are_the_publishers() -> None:
    for name, known in CHECKPOINTS.items():
        assert len(bytes.fromhex(known.sha256)) == 32
        assert known.file.startswith(f"{name}_")
        assert f"sam_{known.model}" == name
        assert known.url.startswith("https://dl.fbaipublicfiles.com/segment_anything/")


def test_a_file_of_the_wrong_size(tmp_path: Path) -> None:
    path = tmp_path / "sam_vit_b_01ec64.pth"
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(ValueError, match=r"22 bytes instead of 375,042,383; get sam_vit_b.* again"):
        load_sam(path)


def test_a_file_with_one_wrong_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "sam_vit_b_01ec64.pth"
    published(monkeypatch, path, tiny_sam().state_dict())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="SHA-256 is [0-9a-f]{64}; get sam_vit_b_01ec64.pth"):
        load_sam(path)


def test_a_sound_file_of_another_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "sam_vit_b_01ec64.pth"
    published(monkeypatch, path, tiny_sam(width=32).state_dict())
    with pytest.raises(ValueError, match="holds no weights of vit_b"):
        load_sam(path)


def test_nothing_but_tensors_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "sam_vit_b_01ec64.pth"
    published(monkeypatch, path, {"weights": tmp_path})  # a path object: not a tensor
    with pytest.raises(ValueError, match="holds no weights of vit_b"):
        load_sam(path)


@pytest.mark.parametrize("name", ["tinny", "sam2_hiera_l.pt", "weights.pth"])
def test_an_unknown_teacher(name: str) -> None:
    with pytest.raises(
        ValueError, match=f"{name}: not a teacher that is known; say 'photo' or 'tiny'"
    ):
        load_sam(name)


def test_the_package_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    missing = {"segment_anything"}
    monkeypatch.setattr(sam_weights, "find_spec", lambda n: None if n in missing else found(n))
    with pytest.raises(ValueError, match=r"'segment-anything' is not installed.*pip install"):
        load_sam("tiny")


def test_an_asset_is_checked(tmp_path: Path) -> None:
    content = safetensors.torch.save({"a": torch.arange(3.0)})
    (tmp_path / "x.safetensors").write_bytes(content)
    manifest = {"sha256": hashlib.sha256(content).hexdigest(), "seed": 7}
    (tmp_path / "x.json").write_text(json.dumps(manifest))
    tensors, found = read_asset("x", tmp_path)
    assert torch.equal(tensors["a"], torch.arange(3.0))
    assert found == manifest

    (tmp_path / "x.safetensors").write_bytes(content[:-1])
    with pytest.raises(ValueError, match=r"x.safetensors: cut short or altered"):
        read_asset("x", tmp_path)
    (tmp_path / "x.safetensors").unlink()
    with pytest.raises(ValueError, match=r"x.safetensors: missing"):
        read_asset("x", tmp_path)
    for text in ("", "[]", '{"sha256": 3}'):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(ValueError, match=r"x.json: .*install wsis-book again"):
            read_manifest("x", tmp_path)
    with pytest.raises(ValueError, match=r"y.json: missing"):
        read_manifest("y", tmp_path)
