"""Upright copies of photographs, for programs that do not look at EXIF's orientation."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageOps

from wsislib.data.images import ImageReadError, orientation_of, picture_facts, read_image
from wsislib.data.pixels import deep_colours
from wsislib.data.turns import turn_pixels


def upright_file(path: Path) -> bytes:
    """The file of a photograph, upright and without orientation; as it is where it is upright.

    Format, depth, colour profile and the other EXIF tags stay. JPEG and WebP are encoded anew, at
    quality 95; the other formats lose nothing. Raises ImageReadError as `read_image`.
    """
    facts = picture_facts(path)
    if facts.orientation == 1:
        return path.read_bytes()
    read_image(path)  # its errors are clearer than those below
    with open(path, "rb") as file, Image.open(file) as image:
        form = {"MPO": "JPEG"}.get(image.format or "", image.format or "")
        if facts.deep and image.mode[0] not in "IF":
            return _deep_file(path, facts.orientation, form)
        exif = image.getexif()
        orientation = orientation_of(image)
        image.load()
        upright: Any = image
        if form != "TIFF":  # which Pillow has turned while it was decoded
            upright = ImageOps.exif_transpose(image)
        exif.pop(0x0112, None)
        assert orientation == facts.orientation
    options: dict[str, Any] = {"exif": exif.tobytes()} if form != "TIFF" else {}
    options |= {"icc_profile": image.info["icc_profile"]} if image.info.get("icc_profile") else {}
    options |= {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"quality": 95}}.get(form, {})
    if image.info.get("transparency") is not None:
        options["transparency"] = image.info["transparency"]
    buffer = io.BytesIO()
    upright.save(buffer, form, **options)
    return buffer.getvalue()


def _deep_file(path: Path, orientation: int, form: str) -> bytes:
    """Of 16-bit colours, which Pillow would cut to 8 bits."""
    values = deep_colours(path)
    assert values is not None, "read_image has read it"
    if form != "TIFF":  # which OpenCV has turned
        values = turn_pixels(values, orientation)
    done, packed = cv2.imencode(".tif" if form == "TIFF" else ".png", np.ascontiguousarray(values))
    if not done:
        raise ImageReadError(f"{path}: cannot be written upright")
    return packed.tobytes()
