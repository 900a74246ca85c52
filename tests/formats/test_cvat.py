"""CVAT's XML as its documentation shows it."""

from pathlib import Path

import numpy as np
import pytest

from tests.formats import drawn
from wsislib.data.rle import decode_segmentation
from wsislib.formats.convert import Conversion, convert_labels
from wsislib.formats.cvat import write_cvat
from wsislib.formats.record import ConversionReport, Region
from wsislib.formats.untrusted import name_of

# The masks of the documentation count row by row inside the box, background first.
EXPORT = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><job><id>7</id><labels>
    <label><name>car</name><color>#c06060</color><type>any</type><attributes></attributes></label>
    <label><name>person</name><color>#b83df5</color><type>any</type></label>
  </labels></job></meta>
  <image id="0" name="day/a.png" width="20" height="10">
    <box label="car" source="manual" occluded="0" xtl="1.00" ytl="2.00" xbr="9.50" ybr="8.00"
      z_order="0"><attribute name="parked">true</attribute></box>
    <box label="car" source="manual" occluded="0" xtl="4" ytl="4" xbr="12" ybr="6" rotation="90.00"
      z_order="0"></box>
    <polygon label="person" source="manual" occluded="0" points="1.00,1.00;5.00,1.00;5.00,4.00"
      z_order="0"></polygon>
    <points label="person" source="manual" occluded="0" points="3.50,4.00;9.00,9.00" z_order="0"/>
    <mask label="car" source="semi-auto" occluded="0" rle="1, 2, 3" left="5" top="6" width="3"
      height="2" z_order="0"/>
    <mask label="car" source="manual" occluded="0" rle="0, 6" left="18" top="0" width="3"
      height="2" z_order="0"/>
    <polyline label="car" source="manual" occluded="0" points="0,0;5,5" z_order="0"/>
    <cuboid label="car" xtl1="1"/>
    <ellipse label="person" cx="10" cy="5" rx="4" ry="2" rotation="0"/>
    <box label="person" xtl="nan" ytl="4" xbr="12" ybr="6"/>
    <tag label="person" source="manual"></tag>
  </image>
  <image id="1" name="b.png" width="20" height="10">
    <polygon label="car" points="1,1;4,1;4,4;1,4" group_id="3"/>
    <polygon label="car" points="6,1;9,1;9,4;6,4" group_id="3"/>
    <polygon label="car" points="6,6;9,6;9,9;6,9" group_id="0"/>
  </image>
</annotations>
"""


def read(tmp_path: Path, text: str = EXPORT) -> Conversion:
    (tmp_path / "annotations.xml").write_text(text, encoding="utf-8")
    return convert_labels(tmp_path)


def test_every_shape_is_read_or_named(tmp_path: Path) -> None:
    found = read(tmp_path)
    assert found.format == "cvat"
    assert found.labels.names == ["car", "person"]
    box, turned, outline, point, mask, cut, ellipse, tag = found.labels.pictures[0].regions
    assert box.fields == {"bbox": [1, 2, 8.5, 6]}
    assert turned.fields == {"bbox": [7, 1, 2, 8]}
    assert outline.fields["segmentation"] == [[1, 1, 5, 1, 5, 4]]
    assert point.fields == {"point": [3.5, 4]}
    pixels = decode_segmentation(mask.fields["segmentation"], 10, 20)
    assert np.argwhere(pixels).tolist() == [[6, 6], [6, 7]]
    assert cut.fields["bbox"] == [18, 0, 2, 2]  # what lies outside the picture is cut off
    assert ellipse.fields["bbox"] == pytest.approx([6, 3, 8, 4], abs=1)
    assert (tag.category, tag.kind) == ("person", "tag")
    report = found.report
    assert set(report.changed) == {
        "rotated box, read as the upright box around it",
        "ellipse, read as a polygon",
        "shapes of one group, joined to one object",
    }
    assert {what: len(places) for what, places in report.lost.items()} == {
        "attributes of a shape": 1,
        "points of one shape after its first": 1,
        "polyline of CVAT": 1,
        "cuboid of CVAT": 1,
        "entry that cannot be read": 1,
    }
    assert "'xtl' is 'nan'" in report.text()


def test_a_group_is_one_object(tmp_path: Path) -> None:
    one, other = read(tmp_path).labels.pictures[1].regions
    assert len(one.fields["segmentation"]) == 2
    assert one.fields["bbox"] == [1, 1, 8, 3]
    assert len(other.fields["segmentation"]) == 1


def test_entities_are_refused(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;">]><annotations>&y;</annotations>'
    with pytest.raises(ValueError, match="declares a DTD or entities, which are never read"):
        read(tmp_path, bomb)
    with pytest.raises(ValueError, match="is not XML"):
        read(tmp_path, EXPORT[:300])
    with pytest.raises(ValueError, match="export it as 'CVAT for images 1.1'"):
        read(tmp_path, "<annotations><track id='0' label='a'/></annotations>")


def test_a_mask_that_asks_for_too_much_is_refused(tmp_path: Path) -> None:
    huge = EXPORT.replace('rle="1, 2, 3"', 'rle="9000000000000"').replace(
        'width="3"\n      height="2" z_order="0"/>\n    <mask',
        'width="3000000" height="3000000"/>\n    <mask',
    )
    found = read(tmp_path, huge)
    assert (
        "are not within 1..89000000" in found.report.text() or "beyond any" in found.report.text()
    )


def test_names_that_xml_cannot_hold_are_written_whole(tmp_path: Path) -> None:
    labels = drawn.labels()
    name = name_of("a\x01<&\"'\ud800ü\u3000x", "name")
    labels.names.append(name)
    labels.pictures[1].regions.append(Region(name))
    (tmp_path / "a.xml").write_bytes(write_cvat(labels, ConversionReport()))
    assert convert_labels(tmp_path / "a.xml").labels.names[-1] == name
