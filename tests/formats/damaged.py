"""Damaged inputs of every format: python -m tests.formats.damaged --count 2000.

Each is a whole export with one to four faults. A conversion must end, with labels or with one
ValueError or OSError that has a message.
"""

import argparse
import copy
import json
import random
import signal
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.formats import drawn
from wsislib.formats.clean import clean_labels
from wsislib.formats.convert import Conversion, Target, convert_labels, write_labels
from wsislib.formats.picture_names import PictureFinder
from wsislib.formats.record import ConversionReport

SECONDS = 20  # for one input
ODD: list[Any] = [
    None, True, -1, 0, 1e9, 1e308, float("nan"), float("inf"), 10**400, "", "x", "\0", "\ud800",
    "../../etc", "9" * 5000, [], {}, [[]], [None], {"a": 1}, [1, 2], "1,2;3", "-0", "%ff",
    [1e9] * 6, {"size": [10**9, 10**9], "counts": [10**18]}, "data:image/png;base64,AAAA",
]  # fmt: skip
VOC_XML = """<annotation><filename>b.png</filename><size><width>60</width><height>40</height></size>
<object><name>cat</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8</ymax></bndbox>
</object><object><name>dog</name><difficult>1</difficult><bndbox><xmin>1</xmin><ymin>2</ymin>
<xmax>9</xmax><ymax>8</ymax></bndbox></object></annotation>"""


class TooSlow(Exception):
    """A conversion that does not end."""


def sources(root: Path) -> list[Path]:
    """One whole export of each format, all beside the same pictures; the file to damage."""
    images = drawn.write_pictures(root / "images")
    report = ConversionReport()
    labels = clean_labels(drawn.labels(scores=True), PictureFinder(images), report)
    found = []
    ends: dict[Target, str] = {
        "coco": "c.json", "cvat": "c.xml", "label-studio": "s.json", "labelme": "me", "yolo": "yo",
    }  # fmt: skip
    for target, end in ends.items():
        whole = Conversion("coco", images, copy.deepcopy(labels), report)
        files = write_labels(whole, target, root / target / end, None, False)
        found += [file for file in files if file.stat().st_size and "config" not in file.name]
    voc = root / "voc" / "Annotations" / "b.xml"
    voc.parent.mkdir(parents=True)
    voc.write_text(VOC_XML)
    return [*found, voc, *_masks(root)]


def _masks(root: Path) -> Iterator[Path]:
    (root / "masks").mkdir()
    (root / "masks" / "classes.txt").write_text("cat\ndog\n")
    for name in ("SegmentationObject", "SegmentationClass"):
        path = root / "masks" / name / "b.png"
        path.parent.mkdir()
        drawn.Image.fromarray(drawn.ring_mask().astype("uint8")).save(path)
        yield path


def damaged(data: bytes, draw: random.Random) -> bytes:
    """The bytes with one to four faults of a kind."""
    kinds: list[Callable[[bytes, random.Random], bytes]] = [_bytes, _cut, _word]
    try:
        json.loads(data)
        kinds += [_tree] * 6
    except ValueError:
        kinds += [_word] * 3
    for _ in range(draw.randint(1, 4)):
        data = draw.choice(kinds)(data, draw)
    return data


def _bytes(data: bytes, draw: random.Random) -> bytes:
    found = bytearray(data)
    for _ in range(draw.randint(1, 8)):
        if found:
            found[draw.randrange(len(found))] = draw.randrange(256)
    return bytes(found)


def _cut(data: bytes, draw: random.Random) -> bytes:
    start = draw.randrange(len(data) + 1)
    return data[:start] + data[start + draw.choice([1, 10, len(data)]) :]


def _word(data: bytes, draw: random.Random) -> bytes:
    """Another value where a number or a quoted text stands."""
    text = data.decode("latin-1")
    starts = [i for i, c in enumerate(text) if c in '"> ,;'] or [0]
    start = draw.choice(starts) + 1
    end = next((i for i in range(start, len(text)) if text[i] in '"<> ,;\n'), len(text))
    new = str(draw.choice(ODD)).encode("utf-8", "replace").decode("latin-1")
    return (text[:start] + new + text[end:]).encode("latin-1")


def _tree(data: bytes, draw: random.Random) -> bytes:
    """Another value, a repeated one or none at some place of a JSON document."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return _bytes(data, draw)
    at, key = document, None
    holder: Any = None
    while isinstance(at, dict | list) and at and draw.random() < 0.85:
        key = draw.choice(list(at)) if isinstance(at, dict) else draw.randrange(len(at))
        holder, at = at, at[key]
    if holder is None:
        return json.dumps(draw.choice(ODD)).encode("utf-8", "replace")
    deed = draw.random()
    if deed < 0.15:
        del holder[key]
    elif deed < 0.3 and isinstance(holder, list):
        holder.append(copy.deepcopy(at))
    else:
        holder[key] = copy.deepcopy(draw.choice(ODD))
    return json.dumps(document).encode("utf-8", "replace")


@contextmanager
def limit() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def try_one(root: Path, file: Path, data: bytes) -> str:
    """What came of converting a source whose one file holds `data`: "read" or "refused"."""
    whole = file.read_bytes()
    folder = root / file.relative_to(root).parts[0]
    source = file if folder.name in ("coco", "cvat", "label-studio") else folder
    try:
        file.write_bytes(data)
        with limit():
            named = folder_format(folder) if len(data) % 2 or folder.name == "masks" else None
            found = convert_labels(source, root / "images", named)
            write_labels(found, "coco", root / "out.json", None, True)
            json.loads((root / "out.json").read_bytes())
            return "read"
    except (ValueError, OSError) as error:
        assert str(error).strip(), f"{type(error).__name__} without a message"
        assert not isinstance(error, UnicodeEncodeError)
        return "refused"
    finally:
        file.write_bytes(whole)


def folder_format(folder: Path) -> Any:
    return {"voc": "voc-xml", "masks": "voc-masks"}.get(folder.name, folder.name)


def run(count: int, seed: int, root: Path) -> Counter[str]:
    """Convert `count` damaged inputs; raises on the first that ends in another way."""
    files = sources(root)
    outcomes: Counter[str] = Counter()
    for number in range(count):
        draw = random.Random(f"{seed}-{number}")
        file = files[number % len(files)]
        data = damaged(file.read_bytes(), draw)
        try:
            outcomes[try_one(root, file, data)] += 1
        except BaseException:
            kept = root / f"input-{seed}-{number}{file.suffix}"
            kept.write_bytes(data)
            print(f"{file.relative_to(root)}: see {kept}", file=sys.stderr)
            raise
    return outcomes


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="damaged-"))
    tracemalloc.start()
    start = time.monotonic()
    print(dict(run(options.count, options.seed, place)), f"{time.monotonic() - start:.0f} s")
    print(f"most memory at once: {tracemalloc.get_traced_memory()[1] / 2**20:.0f} MiB")
