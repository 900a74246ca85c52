"""Prices from one's own time."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.annotate.folder import make_folder
from wsislib.annotate.label_file import LabelFile
from wsislib.annotate.measured_prices import measured_prices, measured_seconds

PLACES = {"tag": {}, "point": {"point": [5, 5]}, "box": {"bbox": [1, 1, 5, 5]}}


def labelled(tmp_path: Path, images: dict[str, tuple[list[str], float]]) -> LabelFile:
    """A file in which each image has entries of some kinds, two seconds each, and looking."""
    labels = LabelFile(tmp_path / "l.json", make_folder(tmp_path / "i", 6), ["x", "y"])
    for name, (kinds, looking) in images.items():
        work = labels.work(f"{name}.png")
        for category, kind in enumerate(kinds, start=1):
            head = {
                "id": labels.next_entry_id() + category,
                "category_id": category,
                "seconds": 2.0,
            }
            work = work.with_entry({**head, **PLACES[kind]})
        labels.change(replace(work, finished=True, seconds=looking))
    return labels


def test_looking_belongs_to_the_price(tmp_path):
    labels = labelled(
        tmp_path, {"a": (["tag"], 1.0), "b": (["tag", "tag"], 0.0), "c": (["box"], 4)}
    )
    table = measured_seconds(labels)
    assert list(table.index) == ["tag", "box"]
    assert table.loc["tag", "images"] == 2 and table.loc["tag", "entries"] == 3
    assert table.loc["tag", "seconds"] == pytest.approx((3 + 4) / 2)
    assert table.loc["tag", "seconds_an_entry"] == pytest.approx(7 / 3)
    assert table.loc["box", "seconds"] == 6


def test_mixed_unfinished_and_unmeasured_images_do_not_count(tmp_path):
    labels = labelled(tmp_path, {"a": (["tag", "point"], 1.0), "b": (["point"], 0.0)})
    work = labels.work("b.png")
    entry = {**work.entries[0], "seconds": 0.0}
    labels.change(replace(work, entries=(entry,)))
    labels.change(replace(labels.work("c.png"), seconds=9.0))
    assert measured_seconds(labels).empty
    with pytest.raises(ValueError, match="no kind of label was measured on 5 finished images"):
        measured_prices(labels)


def test_prices_keep_the_measured_ratio_and_the_papers_scale(tmp_path):
    images = {"a": (["tag"], 0.0), "b": (["tag"], 0.0), "c": (["box"], 6.0), "d": (["box"], 6.0)}
    prices = measured_prices(labelled(tmp_path, {**images, "e": (["point"], 0.0)}), least=2)
    assert prices.box / prices.tag == pytest.approx(4)  # 8 seconds against 2
    assert prices.box + prices.tag == pytest.approx(12 + 1)
    assert prices.point == 6 and prices.mask == 136


def test_one_measured_kind_changes_nothing(tmp_path):
    prices = measured_prices(labelled(tmp_path, {"a": (["box"], 30.0)}), least=1)
    assert prices.box == pytest.approx(12)
