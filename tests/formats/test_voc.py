"""VOC's XML, and Pascal-style masks by index and by colour."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.miniatures import voc
from wsislib.data.photographs.voc import VocDataset
from wsislib.data.rle import decode_segmentation
from wsislib.formats.convert import convert_labels

XML = """<annotation>
  <folder>any</folder><filename>{name}</filename>
  <source><database>{database}</database></source>
  <size><width>{width}</width><height>100</height><depth>3</depth></size>
  <object><name>cat</name><difficult>1</difficult>
    <bndbox><xmin>1</xmin><ymin>1</ymin><xmax>200</xmax><ymax>50</ymax></bndbox></object>
  <object><name>dog</name>
    <part><name>head</name></part>
    <bndbox><xmin>10.5</xmin><ymin>20</ymin><xmax>30</xmax><ymax>60</ymax></bndbox></object>
  <object><name>dog</name><bndbox><xmin>5</xmin></bndbox></object>
</annotation>
"""


def write(root: Path, stem: str, name: str, database: str = "Unknown", width: int = 200) -> None:
    (root / "Annotations").mkdir(parents=True, exist_ok=True)
    text = XML.format(name=name, database=database, width=width)
    (root / "Annotations" / f"{stem}.xml").write_text(text)
    (root / "JPEGImages").mkdir(exist_ok=True)
    Image.new("RGB", (200, 100)).save(root / "JPEGImages" / f"{stem}.jpg")


def test_boxes_of_xml(tmp_path: Path) -> None:
    write(tmp_path, "a", "a.jpg")
    write(tmp_path, "b", "renamed later.jpg", width=0)
    write(tmp_path, "c", "c.jpg", "The VOC2012 Database")
    found = convert_labels(tmp_path)
    assert found.format == "voc-xml"
    by_name = {p.name: [r.fields["bbox"] for r in p.regions] for p in found.labels.pictures}
    assert by_name["a.jpg"] == [[1, 1, 199, 49], [10.5, 20, 19.5, 40]]
    assert by_name["b.jpg"] == by_name["a.jpg"]
    assert by_name["c.jpg"][0] == [0, 0, 200, 50]  # pixels from 1, both ends within
    assert {(p.width, p.height) for p in found.labels.pictures} == {(200, 100)}
    assert found.labels.names == ["cat", "dog"]
    assert len(found.report.changed["object that is marked difficult, kept"]) == 3
    assert len(found.report.lost["parts of an object"]) == 3
    assert len(found.report.lost["entry that cannot be read"]) == 3
    one = convert_labels(tmp_path / "Annotations" / "a.xml")
    assert [p.name for p in one.labels.pictures] == ["a.jpg"]


def test_masks_of_voc_itself(tmp_path: Path) -> None:
    folder = voc.write(tmp_path)
    found = convert_labels(folder, format="voc-masks")
    truth = VocDataset(folder, "train").ground_truth()
    names = {record["id"]: record["file_name"] for record in truth["images"]}
    kinds = {record["id"]: record["name"] for record in truth["categories"]}
    pictures = {picture.name: picture for picture in found.labels.pictures}
    for image_id, name in names.items():
        theirs = [a for a in truth["annotations"] if a["image_id"] == image_id]
        ours = pictures[name].regions
        assert [r.category for r in ours] == [kinds[a["category_id"]] for a in theirs]
        assert [r.fields["segmentation"] for r in ours] == [a["segmentation"] for a in theirs]


def test_masks_by_colour(tmp_path: Path) -> None:
    """As CVAT's "Segmentation mask 1.1" has them."""
    text = "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:10,20,30::\ndog:1,2,3::\n"
    (tmp_path / "labelmap.txt").write_text(text)
    classes, objects = np.zeros((2, 8, 10, 3), dtype=np.uint8)
    objects[1:4, 1:4], classes[1:4, 1:4] = (128, 0, 0), (10, 20, 30)
    objects[5:8, 5:9], classes[5:8, 5:9] = (0, 128, 0), (1, 2, 3)
    objects[5, 1:3] = (0, 0, 128)  # of no class
    objects[4, 1:4] = (224, 224, 192)  # void
    for name, pixels in (("SegmentationClass", classes), ("SegmentationObject", objects)):
        (tmp_path / name).mkdir()
        Image.fromarray(pixels).save(tmp_path / name / "a.png")
    Image.fromarray(classes).save(tmp_path / "SegmentationClass" / "b.png")
    with pytest.raises(ValueError, match="say --images FOLDER"):
        convert_labels(tmp_path)
    (tmp_path / "JPEGImages").mkdir()
    Image.fromarray(classes).save(tmp_path / "JPEGImages" / "a.jpg")
    with pytest.raises(ValueError, match="object 1 lies on no pixel of a category 1..2"):
        convert_labels(tmp_path)
    objects[5, 1:3] = 0
    Image.fromarray(objects).save(tmp_path / "SegmentationObject" / "a.png")
    found = convert_labels(tmp_path)
    assert found.format == "voc-masks"
    one, other = sorted(found.labels.pictures[0].regions, key=lambda region: region.category)
    assert (one.category, other.category) == ("cat", "dog")
    pixels = decode_segmentation(one.fields["segmentation"], 8, 10)
    assert np.array_equal(pixels, (classes == (10, 20, 30)).all(-1))
    assert len(found.report.lost["class picture without an object picture"]) == 1
