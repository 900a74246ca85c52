"""Which names can be written on a picture, and the font that writes them.

matplotlib ships DejaVu Sans: Latin, Greek, Cyrillic and more, but no Chinese, Japanese, Korean or
Thai, whose letters would come out as empty boxes. Scripts that run from the right or join their
letters (Arabic, Hebrew, Devanagari) need a shaper that is not everywhere. A name in any of these
gives way to a number; a legend says what it stands for.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from pathlib import Path

import matplotlib
from matplotlib.ft2font import FT2Font
from PIL import ImageFont

FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
LONGEST_NAME = 32  # letters; the rest is cut off
_SHAPED = {"R", "AL", "AN"}  # directions of Unicode that run from the right


@lru_cache(maxsize=8)
def letters(size: int) -> ImageFont.FreeTypeFont:
    """The font at `size` pixels."""
    return ImageFont.truetype(str(FONT), size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=1)
def _drawn() -> frozenset[int]:
    """Every character that the font has."""
    return frozenset(FT2Font(str(FONT)).get_charmap())


def is_drawable(name: str) -> bool:
    """Whether the font shows `name` as people write it."""
    return all(
        ord(letter) in _drawn()
        and unicodedata.bidirectional(letter) not in _SHAPED
        and unicodedata.category(letter)[0] not in "MC"  # joined to others, or invisible
        for letter in unicodedata.normalize("NFC", name)
    )


def written(name: str, number: int) -> str:
    """`name` as it is drawn: shortened where it is long, "#number" where it cannot be drawn."""
    name = unicodedata.normalize("NFC", name)
    if not is_drawable(name):
        return f"#{number}"
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
