"""Photographs: safe names, every kind to upright RGB, one error for every bad file."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.miniatures import coco
from wsislib.data.images import (
    ImageReadError,
    image_tensor,
    picture_facts,
    probe_image,
    read_image,
    reading_notes,
    resolve_image,
)
from wsislib.data.pixels import stretch
from wsislib.data.turns import turn_pixels


@pytest.fixture
def root(tmp_path: Path) -> Path:
    coco.write_images(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("image_id", "tolerance"),
    [(12, 0), (7, 12), (41, 12), (42, 0), (43, 40), (99, 12), (100, 0)],
)
def test_colour_modes_keep_the_picture(root: Path, image_id: int, tolerance: int) -> None:
    array = read_image(root / coco.FILES[image_id])
    wanted = coco.pixels(image_id)
    assert array.dtype == np.uint8
    assert array.shape == wanted.shape
    difference = np.abs(array.astype(int) - wanted.astype(int))
    assert difference.mean() <= tolerance


@pytest.mark.parametrize(("image_id", "tolerance"), [(40, 0), (44, 12)])
def test_grey_modes_are_grey(root: Path, image_id: int, tolerance: int) -> None:
    """The second has 16 bits and is stretched."""
    array = read_image(root / coco.FILES[image_id])
    wanted = np.asarray(Image.fromarray(coco.pixels(image_id)).convert("L"))
    assert array.shape == (coco.HEIGHT, coco.WIDTH, 3)
    if tolerance:
        wanted = stretch(wanted)
    for channel in range(3):
        assert np.array_equal(array[:, :, channel], wanted)


def test_exif_orientation_is_told_and_applied(root: Path) -> None:
    facts = probe_image(root / "turned.jpg")
    assert (facts.width, facts.height, facts.orientation) == (coco.WIDTH, coco.HEIGHT, 3)
    upright = read_image(root / "turned.jpg").astype(int)
    wanted = coco.pixels(99).astype(int)
    assert np.abs(upright - wanted).mean() < np.abs(upright[::-1, ::-1] - wanted).mean()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_every_orientation_of_every_format_is_upright(
    tmp_path: Path, orientation: int, suffix: str
) -> None:
    stored = coco.pixels(12)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    options = {"quality": 95} if suffix == "jpg" else {"lossless": True} if suffix == "webp" else {}
    Image.fromarray(stored).save(path, exif=exif, **options)
    wanted = turn_pixels(stored, orientation)
    read, facts = read_image(path), picture_facts(path)
    assert read.shape == wanted.shape
    assert np.abs(read.astype(int) - wanted).mean() <= (3 if suffix == "jpg" else 0)
    assert (facts.height, facts.width, facts.orientation) == (*wanted.shape[:2], orientation)
    assert facts.stored == (coco.WIDTH, coco.HEIGHT)
    assert facts.size_tells == (orientation >= 5)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_damaged_tag_does_not_damage_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(coco.pixels(7)).save(path, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x09broken")
    assert picture_facts(path).orientation == 1
    assert read_image(path).shape == (coco.HEIGHT, coco.WIDTH, 3)


def test_what_is_turned_or_stretched_is_said(root: Path) -> None:
    files = [root / name for name in coco.FILES.values()]
    turned, deep = reading_notes(files)
    assert "1 of 9 pictures carry a turn of their camera (EXIF orientation 3: 1)" in turned
    assert "1 of 9 pictures have more than 8 bits" in deep
    assert reading_notes([root / "plain.png"]) == []


def test_image_tensor_is_exact() -> None:
    array = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3) * 14
    tensor = image_tensor(array)
    assert tensor.shape == (3, 2, 3)
    assert tensor[1, 0, 2] == np.float32(array[0, 2, 1]) / np.float32(255)


def fake(root: Path, name: str, content: bytes) -> Path:
    (root / name).write_bytes(content)
    return root / name


def test_bad_files_raise_one_error_each(root: Path) -> None:
    photo = (root / "photo.jpg").read_bytes()
    picture = (root / "plain.png").read_bytes()
    pages = [Image.fromarray(coco.pixels(7)), Image.fromarray(coco.pixels(12))]
    pages[0].save(root / "pages.tiff", save_all=True, append_images=pages[1:])
    cases = {
        root / "absent.jpg": "no such image",
        root / "deep": "cannot be read",
        fake(root, "text.jpg", b"hello"): "not an image",
        fake(root, "nothing.jpg", b""): "not an image",
        fake(root, "cut.jpg", photo[: len(photo) // 2]): "cannot be read",
        fake(root, "cut.png", picture[: len(picture) // 2]): "cannot be read",
        root / "pages.tiff": "holds 2 pages of 40 x 32 pixels; save the page",
    }
    for path, message in cases.items():
        with pytest.raises(ImageReadError, match=message) as caught:
            read_image(path)
        assert str(path) in str(caught.value)


def test_an_image_bomb_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsislib.data.images.MAX_PIXELS", 1000)
    with pytest.raises(ImageReadError, match="40 x 32 is more than 1000 pixels"):
        read_image(root / "plain.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    with pytest.raises(ImageReadError, match="more than 1000 pixels"):
        read_image(root / "plain.png")


def test_names_inside_the_folder_resolve(root: Path) -> None:
    assert resolve_image(root, "deep/grey.png") == (root / "deep" / "grey.png").resolve()
    assert resolve_image(root, "deep/../plain.png") == (root / "plain.png").resolve()


@pytest.mark.parametrize(
    "name",
    ["../secret.png", "/etc/passwd", "deep/../../secret.png", "", ".", None, 7, "a\0.png"],
)
def test_names_that_leave_the_folder_are_refused(root: Path, name: object) -> None:
    with pytest.raises(ValueError, match="file_name"):
        resolve_image(root, name)


def test_links_that_leave_the_folder_are_refused(root: Path) -> None:
    outside = root.parent / "outside.png"
    outside.write_bytes(b"")
    (root / "link.png").symlink_to(outside)
    (root / "loop.png").symlink_to(root / "loop.png")
    with pytest.raises(ValueError, match="leads out of the image folder"):
        resolve_image(root, "link.png")
    inside = root / "alias.png"
    inside.symlink_to(root / "plain.png")
    assert resolve_image(root, "alias.png") == (root / "plain.png").resolve()


def test_a_line_is_no_photograph(tmp_path: Path) -> None:
    Image.new("RGB", (1, 51)).save(tmp_path / "line.png")
    Image.new("RGB", (2, 100)).save(tmp_path / "narrow.png")
    with pytest.raises(ImageReadError, match="line.png: 1 x 51 is more than 50 times"):
        read_image(tmp_path / "line.png")
    assert read_image(tmp_path / "narrow.png").shape == (100, 2, 3)
