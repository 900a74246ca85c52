"""Scaled pictures on disk: they change no number, and no damage to them stops anybody."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsislib.data.picture_cache import PictureCache, scaled_size


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    pixels = np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def test_a_picture_is_scaled_once_and_read_as_it_was(tmp_path: Path, photo: Path) -> None:
    cache = PictureCache(tmp_path / "cache", 30)
    first = cache.read(photo)
    assert first.shape == (20, 30, 3) and cache.file_of(photo).exists()
    assert scaled_size(60, 90, 30) == (20, 30)
    opened = Image.open(cache.file_of(photo))
    assert np.array_equal(np.asarray(opened), first), "an ordinary PNG"
    assert np.array_equal(cache.read(photo), first)
    assert np.array_equal(PictureCache(tmp_path / "cache", 30).read(photo), first)
    assert PictureCache(tmp_path / "cache", 45).read(photo).shape == (30, 45, 3)


def test_small_pictures_are_as_they_are(tmp_path: Path, photo: Path) -> None:
    read = PictureCache(tmp_path / "cache", 90).read(photo)
    assert np.array_equal(read, np.asarray(Image.open(photo)))
    assert not (tmp_path / "cache").exists()


def test_a_changed_photograph_is_scaled_anew(tmp_path: Path, photo: Path) -> None:
    cache = PictureCache(tmp_path / "cache", 30)
    first = cache.read(photo)
    Image.new("RGB", (90, 60), (9, 8, 7)).save(photo)
    assert not np.array_equal(cache.read(photo), first)


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "gone", "folder gone"])
def test_damage_is_seen_and_mended(tmp_path: Path, photo: Path, damage: str) -> None:
    cache = PictureCache(tmp_path / "cache", 30)
    first, kept = cache.read(photo), cache.file_of(photo)
    whole = kept.read_bytes()
    content = {"flip": whole[:90] + bytes([whole[90] ^ 1]) + whole[91:], "cut": whole[:-40]}
    if "gone" in damage:
        kept.unlink()
        if damage == "folder gone":
            kept.parent.rmdir()
    else:
        kept.write_bytes(content.get(damage, b""))
    assert np.array_equal(cache.read(photo), first)
    assert kept.read_bytes() == whole


def test_a_full_cache_and_one_that_cannot_be_written_warn_once(tmp_path: Path, photo: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("no folder")
    for cache in (PictureCache(tmp_path / "full", 30, limit=10), PictureCache(blocked, 30)):
        with pytest.warns(UserWarning, match="Training goes on") as caught:
            first = cache.read(photo)
            assert np.array_equal(cache.read(photo), first)
        assert len(caught) == 1
    assert not list(tmp_path.glob("full/*"))


def test_many_may_fill_it_together(tmp_path: Path, photo: Path) -> None:
    caches = [PictureCache(tmp_path / "cache", 30) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda cache: cache.read(photo), caches))
    assert all(np.array_equal(one, read[0]) for one in read)
    assert len(list((tmp_path / "cache").iterdir())) == 1
