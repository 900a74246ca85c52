"""Damaged COCO files through everything that reads labels: `python -m tests.fuzz_coco 10000`.

The numbers are those of files, of the seed and of the first file.

Each file is the miniature with one to four damages, drawn by a seed. Whatever it holds, the check
reports and never raises; what the check lets through is read without an error; what it does not is
refused by a ValueError with a message. A file may take 20 seconds and 2 GB.
"""

import contextlib
import io
import json
import resource
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.miniatures import coco
from wsislib.data.photographs.coco import CocoDataset
from wsislib.data.photographs.validate import check_coco, write_repaired
from wsislib.data.sample import LabelKind
from wsislib.photos.data_record import describe_change, record_of, write_record
from wsislib.photos.label_table import table_of_masks

MOST_SECONDS, MOST_MEMORY = 20, 2 * 2**30
ODD = [
    None, True, -1, 0, 1, 0.5, 1e-320, -0.0, 7.0, 2**31, 2**63, 10**400, 1e300, float("nan"),
    float("inf"), -float("inf"), "", "x", "0", "\0", "\ud800", "../x.png", "plain.png", "a" * 5000,
    "\u202e\u0000", [], {}, [[]], [None], [[0, 0]], [1, 2, 3, 4], [[1, 1, 1, 9, 9, 1]], ["1", "2"],
    {"size": [32, 40], "counts": "0"}, {"size": [32, 40], "counts": [1280]}, {"counts": []},
    {"size": [1e9, 1e9], "counts": [10**18]}, {"id": 1}, [[0.1] * 6], [[1e8] * 8], [[0, 0] * 3000],
    [[[[[[]]]]]], {"size": [32, 40], "counts": "PPPPPPPP"}, 89_000_001, 40_000, [0, 0, 1e-9, 1e-9],
]  # fmt: skip
KEYS = ["id", "image_id", "category_id", "bbox", "segmentation", "point", "area", "iscrowd"]
KEYS += ["file_name", "width", "height", "name", "images", "annotations", "categories", "extra"]
BYTES = [
    b"",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"{",
    b"]",
    b"\x00",
    b"1e999",
    b"NaN",
    b'"\\ud800"',
    b"-",
]


class TooLong(Exception):
    """A file took longer than it may."""


def damaged(generator: np.random.Generator) -> bytes:
    """One damaged file."""
    document = coco.document()
    for _ in range(min(4, int(generator.geometric(0.6)))):
        _damage(document, generator)
    content = json.dumps(document).encode("utf-8", "surrogatepass")
    if generator.random() < 0.2:
        start = int(generator.integers(len(content)))
        length = int(generator.choice([0, 1, 5, 400, len(content)]))
        piece = BYTES[int(generator.integers(len(BYTES)))]
        content = content[:start] + piece + content[start + length :]
    return content


def _damage(document: dict[str, Any], generator: np.random.Generator) -> None:
    """Put something odd at a random place, take something away, or repeat it."""
    places = list(_places(document))
    if not places:
        return
    holder, key = places[int(generator.integers(len(places)))]
    kind, odd = generator.random(), ODD[int(generator.integers(len(ODD)))]
    if kind < 0.6:
        holder[key] = json.loads(json.dumps(odd))
    elif kind < 0.75:
        del holder[key]
    elif kind < 0.9 and isinstance(holder, list):
        holder.extend([holder[key]] * int(generator.choice([1, 3, 200])))
    elif isinstance(holder, dict):
        holder[KEYS[int(generator.integers(len(KEYS)))]] = json.loads(json.dumps(odd))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a document, as its holder and the key or index there."""
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(entries):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)


def try_file(path: Path, images: Path, scratch: Path) -> bool:
    """Read one file in every way; whether training may start with it as a data set of any kind."""
    reports = {
        pair: check_coco(path, images, *pair[:1], least=pair[1])
        for pair in ((LabelKind.MASK, LabelKind.TAG), (LabelKind.BOX, None))
    }
    for report in reports.values():
        text = "\n".join([report.text(), report.summary()])
        text.encode("utf-8")  # as it is printed
        assert report.counts() in text and json.loads(report.to_json())["source"] == str(path)
    report = reports[LabelKind.MASK, LabelKind.TAG]
    target = scratch / "mended.json"
    target.unlink(missing_ok=True)
    if write_repaired(path, report, target):
        check_coco(target, images)
    try:
        dataset = CocoDataset(path, images)
        for index in range(len(dataset)):
            dataset[index].check(len(dataset.categories))
        table_of_masks(dataset).text().encode()
        write_record(scratch, record_of(dataset))
        assert describe_change(scratch, record_of(dataset)) == ""
    except ValueError as error:
        assert str(error) and not isinstance(error, UnicodeError), error
        assert not report.may_train, f"the check let it through: {error}"
        return False
    return report.may_train


def run(count: int, seed: int = 0, start: int = 0) -> dict[str, int]:
    """Try `count` files from number `start` on; raises at the first that is not handled."""
    passed = 0
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        coco.write_images(place / "images")
        before = _memory()
        for number in range(start, start + count):
            content = damaged(np.random.default_rng([seed, number]))
            path = place / "damaged.json"
            path.write_bytes(content)
            with _limit(), contextlib.redirect_stderr(io.StringIO()):
                try:
                    passed += try_file(path, place / "images", place)
                except BaseException as error:
                    error.add_note(f"file {number} of seed {seed}: {content[:200]!r}...")
                    raise
            used = _memory() - before
            assert used < MOST_MEMORY, f"file {number} of seed {seed}: {used / 2**30:.1f} GB"
    return {"files": count, "may train": passed, "refused": count - passed}


@contextlib.contextmanager
def _limit() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TooLong(f"longer than {MOST_SECONDS} seconds")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(MOST_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)


def _memory() -> int:
    """Most memory that the process has used, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    counts = [int(word) for word in sys.argv[1:]]
    print(run(*(counts or [300])))
