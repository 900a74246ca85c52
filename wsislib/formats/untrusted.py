"""Reading files of other tools: bounded, no XML entities, every value checked for its type."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from wsislib.data.photographs.coco_labels import FAR

MAX_BYTES = 2**30  # of one label file
_NO_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")  # nor XML holds
MAX_NAME = 500  # characters of a category's or file's name


def read_bounded(path: Path) -> bytes:
    """The bytes of a label file; ValueError where it is no plain file or too large."""
    if not path.is_file():
        raise ValueError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path}: more than {MAX_BYTES >> 20} MiB; export it in parts")
    return path.read_bytes()


def parse_json(path: Path) -> Any:
    """The content of a JSON file in any Unicode encoding; ValueError where it is none."""
    try:
        return json.loads(read_bounded(path))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: is not JSON ({error}); export the labels again") from None


def parse_xml(path: Path) -> Element:
    """The root of an XML file; ValueError where it is none, or declares a DTD or entities."""
    try:
        return fromstring(read_bounded(path), forbid_dtd=True)
    except DefusedXmlException:
        raise ValueError(
            f"{path}: declares a DTD or entities, which are never read; export it without them"
        ) from None
    except (ParseError, LookupError, RecursionError) as error:
        raise ValueError(f"{path}: is not XML ({error}); export the labels again") from None


def number(value: Any, what: str) -> float:
    """A finite number, also from text; ValueError where it is none or beyond any image."""
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        found = float(value) if len(str(value)) < 60 else math.nan
    except (ValueError, OverflowError):
        raise ValueError(f"'{what}' is {value!r:.60}, must be a number") from None
    if not abs(found) < FAR:
        raise ValueError(f"'{what}' is {value!r:.60}, which is not finite or beyond any image")
    return found


def whole_number(value: Any, what: str) -> int:
    """A whole number, also from text or a float such as 7.0."""
    found = number(value, what)
    if found != int(found):
        raise ValueError(f"'{what}' is {value!r:.60}, must be a whole number")
    return int(found)


def mapping_of(value: Any, what: str) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise ValueError(f"'{what}' is {type(value).__name__}, must be an object")
    return value


def list_of(value: Any, what: str) -> list[Any]:
    """A JSON list."""
    if not isinstance(value, list):
        raise ValueError(f"'{what}' is {type(value).__name__}, must be a list")
    return value


def name_of(value: Any, what: str) -> str:
    """A name that is not empty, without outer blanks and controls; numbers become text."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"'{what}' is {value!r:.60}, must be text")
    text = str(value) if isinstance(value, str) or abs(value) < FAR else ""
    text = _NO_TEXT.sub("\ufffd", text).strip()
    if not text or len(text) > MAX_NAME or text == "\ufffd" * len(text):
        raise ValueError(f"'{what}' is {value!r:.60}, must be a name")
    return text


def is_plain_text(name: str) -> bool:
    """Whether a file's name is text that JSON and XML can hold."""
    return _NO_TEXT.search(name) is None


def point_list(value: Any, what: str) -> list[tuple[float, float]]:
    """A list of [x, y] pairs."""
    pairs = list_of(value, what)
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise ValueError(f"'{what}' holds {pair!r:.60}, must be [x, y]")
    return [(number(x, what), number(y, what)) for x, y in pairs]
