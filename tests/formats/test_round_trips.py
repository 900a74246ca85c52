"""Through each format and back: nothing changes that it can hold, the rest is named."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.formats import drawn
from wsislib.data.rle import encode_mask
from wsislib.formats.clean import clean_labels
from wsislib.formats.convert import Conversion, Source, Target, convert_labels, write_labels
from wsislib.formats.picture_names import PictureFinder
from wsislib.formats.record import ConversionReport, Labels

ENDS: dict[Target, str] = {"coco": "c.json", "cvat": "c.xml", "label-studio": "s.json"}


def there_and_back(
    tmp_path: Path, target: Target, found: Labels, tolerance: float | None = None
) -> tuple[Labels, Conversion, Conversion]:
    """Cleaned labels, their conversion to `target`, and that read again."""
    root = drawn.write_pictures(tmp_path / "images", found)
    report = ConversionReport()
    cleaned = clean_labels(found, PictureFinder(root), report)
    there = Conversion("coco", root, cleaned, report)
    out = tmp_path / "out" / ENDS.get(target, "")
    write_labels(there, target, out, tolerance, False)
    return cleaned, there, convert_labels(out, root)


@pytest.mark.parametrize("scores", [False, True])
@pytest.mark.parametrize("target", ["coco", "cvat", "label-studio", "labelme"])
def test_all_kinds_come_back(tmp_path: Path, target: Target, scores: bool) -> None:
    cleaned, there, back = there_and_back(tmp_path, target, drawn.labels(scores))
    assert back.format == target
    ours, theirs = drawn.plain(cleaned), drawn.plain(back.labels)
    expected_changes = set()
    if target == "label-studio":  # it has no polygon of several rings: a brush of the same pixels
        rings = drawn.labelled(cleaned)[1]
        ours[1] = (rings.category, drawn.pixels(rings).tobytes(), rings.score)
        expected_changes = {"polygon of several rings, written as a brush"}
    assert theirs == ours
    assert set(there.report.changed) == expected_changes
    assert not there.report.lost
    joined = {"shapes of one group, joined to one object"}
    assert set(back.report.changed) <= joined | {"name of a picture", "prediction, read as a label"}
    by_name = {picture.name: picture for picture in back.labels.pictures}
    assert by_name["b.png"].regions == []
    assert (by_name["b.png"].width, by_name["b.png"].height) == (drawn.WIDTH, drawn.HEIGHT)


def test_a_crowd_is_named_where_it_is_not_held(tmp_path: Path) -> None:
    for target in ("cvat", "label-studio", "labelme", "yolo"):
        found = drawn.labels()
        found.pictures[0].regions[0].__dict__["crowd"] = True
        _, there, _ = there_and_back(tmp_path / target, target, found)
        assert {"crowd mark of a region", "crowd region"} & set(there.report.lost)


def test_yolo_holds_boxes_and_outlines_and_names_the_rest(tmp_path: Path) -> None:
    cleaned, there, back = there_and_back(tmp_path, "yolo", drawn.labels(), tolerance=0)
    assert set(there.report.lost) == {"hole of a mask, filled", "point", "tag"}
    assert set(there.report.changed) == {
        "mask, written as a polygon within 0 pixels",
        "parts of one object, joined by lines",
    }
    ring, parts, one, box = drawn.labelled(back.labels)
    filled = drawn.ring_mask()
    filled[10:15, 14:20] = True
    assert int((drawn.pixels(ring) != filled).sum()) <= 3  # the line between the parts
    two = drawn.pixels(cleaned.pictures[0].regions[1])
    assert int((drawn.pixels(parts) & ~two).sum()) <= 60  # the line is no thicker than a pixel
    assert not (two & ~drawn.pixels(parts)).any()
    assert one.fields["segmentation"] == cleaned.pictures[0].regions[2].fields["segmentation"]
    assert box.fields == cleaned.pictures[0].regions[3].fields


@pytest.mark.parametrize("target", ["cvat", "label-studio", "labelme"])
def test_masks_as_outlines_cover_the_same_pixels(tmp_path: Path, target: Target) -> None:
    """Tolerance 0: whole masks become polygons that read back as the very pixels."""
    found = drawn.labels()
    filled = drawn.ring_mask()
    filled[10:15, 14:20] = True
    found.pictures[0].regions[0].fields["segmentation"].update(encode_mask(filled))
    _, there, back = there_and_back(tmp_path, target, found, tolerance=0)
    assert "mask, written as a polygon within 0 pixels" in there.report.changed
    (whole,) = (r for r in drawn.labelled(back.labels) if r.fields.get("bbox") == [10, 5, 23, 23])
    assert np.array_equal(drawn.pixels(whole), filled)


def test_a_mask_with_a_hole_stays_a_mask(tmp_path: Path) -> None:
    _, there, back = there_and_back(tmp_path, "labelme", drawn.labels(), tolerance=1)
    assert there.report.changed["mask with holes, kept as a mask"] == ["sub/Übung 1.png: square"]
    found = drawn.labelled(back.labels)
    (ring,) = (r for r in found if isinstance(r.fields.get("segmentation"), dict))
    assert np.array_equal(drawn.pixels(ring), drawn.ring_mask())


def test_a_clean_document_does_not_change(tmp_path: Path) -> None:
    _, _, back = there_and_back(tmp_path, "coco", drawn.labels())
    write_labels(back, "coco", tmp_path / "again.json", None, False)
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "out" / "c.json").read_bytes()
    assert json.loads((tmp_path / "again.json").read_bytes())["categories"][0]["id"] == 1


@pytest.mark.parametrize("wanted", ["coco", "cvat", "label-studio", "labelme", "yolo"])
def test_nothing_is_overwritten_unasked(tmp_path: Path, wanted: Target) -> None:
    _, there, _ = there_and_back(tmp_path, wanted, drawn.labels())
    out = tmp_path / "out" / ENDS.get(wanted, "")
    before = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    with pytest.raises(ValueError, match="exists already"):
        write_labels(there, wanted, out, None, False)
    assert before == {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    write_labels(there, wanted, out, None, True)


def test_a_format_may_be_named(tmp_path: Path) -> None:
    there_and_back(tmp_path, "cvat", drawn.labels())
    wrong: Source = "label-studio"
    with pytest.raises(ValueError, match="is not JSON"):
        convert_labels(tmp_path / "out" / "c.xml", tmp_path / "images", wrong)
