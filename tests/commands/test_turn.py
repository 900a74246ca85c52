"""`wsis data turn` on pictures: upright copies that lose nothing, for programs that ignore EXIF."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.miniatures import coco
from wsislib.cli import main
from wsislib.data.images import picture_facts, read_image


def saved(path: Path, orientation: int, **options: object) -> Path:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "a maker"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(coco.pixels(7)).save(path, exif=exif, **options)
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif", "jpg", "webp"])
def test_copies_show_the_same_without_the_tag(
    tmp_path: Path, orientation: int, suffix: str
) -> None:
    source = saved(tmp_path / "in" / f"a.{suffix}", orientation)
    before = source.read_bytes()
    assert main(["data", "turn", str(source.parent), "--out", str(tmp_path / "out")]) == 0
    copy = tmp_path / "out" / source.name
    assert picture_facts(copy).orientation == 1
    assert source.read_bytes() == before
    with Image.open(copy) as image, Image.open(source) as given:
        assert image.format == given.format
        maker = image.getexif().get(0x010F)
        plain = np.asarray(image.convert("RGB")).astype(int)
    loss = {"jpg": 6, "webp": 6}.get(suffix, 0)
    assert np.abs(plain - read_image(source)).mean() <= loss, "as a program without EXIF reads it"
    assert maker == "a maker" or suffix in ("tif", "webp")
    if orientation == 1:
        assert copy.read_bytes() == before


@pytest.mark.parametrize("orientation", [1, 6, 7])
@pytest.mark.parametrize("colour", [False, True])
def test_deep_pictures_stay_deep(tmp_path: Path, orientation: int, colour: bool) -> None:
    source, values = tmp_path / "a.png", coco.pixels(7).astype(np.uint16) * 16
    exif = Image.Exif()
    exif[0x0112] = orientation
    if colour:
        assert cv2.imwrite(str(source), values[..., ::-1])
        content = source.read_bytes()
        tag = exif.tobytes()[6:]
        source.write_bytes(content[:33] + png_chunk(b"eXIf", tag) + content[33:])
    else:
        Image.fromarray(values[..., 0]).save(source, exif=exif)
    assert picture_facts(source).orientation == orientation
    assert main(["data", "turn", str(source), "--out", str(tmp_path / "out")]) == 0
    copy = tmp_path / "out" / "a.png"
    assert picture_facts(copy).deep and picture_facts(copy).orientation == 1
    assert np.array_equal(read_image(copy), read_image(source))


def png_chunk(name: bytes, data: bytes) -> bytes:
    import struct
    import zlib

    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def test_subfolders_are_kept_and_bad_files_named(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    saved(tmp_path / "in" / "deep" / "a.jpg", 6)
    saved(tmp_path / "in" / "b.jpg", 1)
    (tmp_path / "in" / "c.jpg").write_text("no picture")
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    out = tmp_path / "in" / "upright"
    assert main(["data", "turn", str(tmp_path / "in"), "--out", str(out)]) == 1
    said = capsys.readouterr()
    assert "2 pictures, 1 of them turned" in said.out and "c.jpg: not an image" in said.err
    written = sorted(file.relative_to(out).as_posix() for file in out.rglob("*.*"))
    assert written == ["b.jpg", "deep/a.jpg"]
    assert main(["data", "turn", str(tmp_path / "in"), "--out", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err


def test_an_original_is_never_overwritten(tmp_path: Path) -> None:
    source = saved(tmp_path / "a.jpg", 6)
    before = source.read_bytes()
    for place in (source, tmp_path):
        assert main(["data", "turn", str(source), "--out", str(place), "--force"]) == 2
    assert main(["data", "turn", str(tmp_path / "nowhere"), "--out", str(tmp_path / "b")]) == 2
    assert source.read_bytes() == before
