"""Deep, transparent and odd pictures: visible by one rule, or refused with a way out."""

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.miniatures import coco
from wsislib.data.images import ImageReadError, picture_facts, read_image
from wsislib.data.pixels import stretch
from wsislib.data.turns import turn_pixels


def near(read: np.ndarray, wanted: np.ndarray) -> None:
    """Like the 8-bit picture, stretched as well."""
    assert np.abs(read.astype(int) - stretch(wanted)).max() <= 1
    assert read.min() == 0 and read.max() == 255


def grey() -> np.ndarray:
    return np.asarray(Image.fromarray(coco.pixels(7)).convert("L"))


@pytest.mark.parametrize("bits", [10, 12, 16])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_deep_grey_is_visible(tmp_path: Path, bits: int, suffix: str) -> None:
    path = tmp_path / f"deep.{suffix}"
    values = grey().astype(np.uint16) << (bits - 8)
    Image.fromarray(values).save(path)
    assert picture_facts(path).deep
    read = read_image(path)
    near(read[..., 0], grey())
    assert np.array_equal(read[..., 0], read[..., 2])
    assert np.array_equal(read[..., 0], stretch(values)), "the same in every file"


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("alpha", [False, True])
def test_deep_colours_are_visible(tmp_path: Path, suffix: str, alpha: bool) -> None:
    path = tmp_path / f"deep.{suffix}"
    values = coco.pixels(7).astype(np.uint16) << 4
    channels = [values[..., ::-1]] + ([np.full_like(values[..., :1], 65535)] if alpha else [])
    assert cv2.imwrite(str(path), np.dstack(channels))
    assert picture_facts(path).deep
    assert np.array_equal(read_image(path), stretch(values))
    near(read_image(path), coco.pixels(7))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_colours_of_tiff_are_upright(tmp_path: Path, orientation: int) -> None:
    path, values = tmp_path / "deep.tif", coco.pixels(7).astype(np.uint16) << 4
    path.write_bytes(tiff_of(values, orientation))
    read, facts = read_image(path), picture_facts(path)
    assert np.array_equal(read, turn_pixels(stretch(values), orientation))
    assert (facts.height, facts.width) == read.shape[:2]


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e9])
def test_floats_are_visible_whatever_their_unit(tmp_path: Path, scale: float) -> None:
    path, values = tmp_path / "float.tif", grey().astype(np.float32) * scale - scale
    values[0, 0] = np.nan
    Image.fromarray(values).save(path)
    read = read_image(path)[..., 0]
    assert read[0, 0] == 0
    near(read[1:], grey()[1:])


def test_white_may_be_zero(tmp_path: Path) -> None:
    path, values = tmp_path / "negative.tif", grey().astype(np.uint16) << 4
    path.write_bytes(tiff_of(values[..., None], 1, photometric=0))
    assert np.array_equal(read_image(path)[..., 0], 255 - stretch(values))


def test_a_hot_pixel_darkens_nothing() -> None:
    values = np.random.default_rng(0).integers(100, 4000, (200, 200)).astype(np.uint16)
    values[0, 0] = 65535
    assert stretch(values).mean() > 100


def test_all_channels_have_their_say_whatever_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = np.random.default_rng(0).integers(0, 1000, (60, 50, 3)).astype(np.uint16)
    values[..., 1] += 3000
    whole = stretch(values).astype(int)
    monkeypatch.setattr("wsislib.data.pixels._SAMPLE", values.size // 3)
    assert np.abs(stretch(values) - whole).max() <= 2


def test_a_picture_of_one_value_is_grey_and_of_two_is_black_and_white() -> None:
    assert (stretch(np.full((4, 4), 700, dtype=np.uint16)) == 128).all()
    one = np.zeros((100, 100), dtype=np.float32)
    one[5, 5] = 3  # less than a thousandth
    assert stretch(one)[5, 5] == 255 and stretch(one).sum() == 255
    assert (stretch(np.full((2, 2), np.inf)) == 0).all()


def test_a_drawing_in_transparency_alone_is_seen(tmp_path: Path) -> None:
    drawn = np.zeros((8, 8, 4), dtype=np.uint8)
    drawn[2:4, :, 3] = 255
    for colour, ground in ((0, 255), (255, 0)):
        drawn[..., :3] = colour
        Image.fromarray(drawn).save(tmp_path / "a.png")
        read = read_image(tmp_path / "a.png")
        assert (read[2:4] == colour).all() and (read[5:] == ground).all()
    drawn[..., 3] = 0  # hides everything: not meant
    drawn[0, 0, :3] = 9
    Image.fromarray(drawn).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png"), drawn[..., :3])


def test_a_smaller_second_page_is_a_preview(tmp_path: Path) -> None:
    path, first = tmp_path / "a.tif", Image.fromarray(coco.pixels(7))
    first.save(path, save_all=True, append_images=[first.resize((10, 8))])
    assert np.array_equal(read_image(path), coco.pixels(7))
    first.save(path, save_all=True, append_images=[first] * 3)
    with pytest.raises(ImageReadError, match=r"a.tif: holds 4 pages .* file of its own"):
        read_image(path)


def tiff_of(values: np.ndarray, orientation: int, photometric: int = 2) -> bytes:
    """An uncompressed little-endian TIFF of (H, W, C) uint16."""
    height, width, channels = values.shape
    data = values.astype("<u2").tobytes()
    bits = 8 + 2 + 12 * 11 + 4
    pixels = bits + 2 * channels if channels > 1 else bits
    entries = [
        (256, 3, 1, width), (257, 3, 1, height), (258, 3, channels, bits if channels > 1 else 16),
        (259, 3, 1, 1), (262, 3, 1, photometric), (273, 4, 1, pixels), (274, 3, 1, orientation),
        (277, 3, 1, channels), (278, 3, 1, height), (279, 4, 1, len(data)), (284, 3, 1, 1),
    ]  # fmt: skip
    head = b"II*\0" + struct.pack("<IH", 8, len(entries))
    head += b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    return head + (struct.pack(f"<{channels}H", *[16] * channels) if channels > 1 else b"") + data
