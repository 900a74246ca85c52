"""VOC's XML files of boxes, one a picture: read.

VOC's own files number pixels from 1, both ends within the box ("VOC2012 Development Kit", section
3.3); labelling tools write the same keys with edges counted from 0. Files whose `source` names a
VOC database are read the first way, all others the second.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

from wsislib.formats.picture_names import PictureFinder
from wsislib.formats.record import ConversionReport, LabelledPicture, Labels, Region
from wsislib.formats.shapes import box_fields
from wsislib.formats.untrusted import name_of, number, parse_xml, whole_number

_OWN = re.compile(r"VOC\s?20\d\d")


def read_voc_xml(source: Path, finder: PictureFinder, report: ConversionReport) -> Labels:
    """The boxes of one XML file, or of all in a folder (in `Annotations` where there is one)."""
    pictures = []
    for file in voc_files(source):
        with report.entry(str(file)):
            pictures.append(_picture(parse_xml(file), file, finder, report))
    return Labels(pictures)


def voc_files(source: Path) -> Iterator[Path]:
    """XML files of a source."""
    if source.is_file():
        return iter([source])
    inner = source / "Annotations"
    return iter(sorted((inner if inner.is_dir() else source).rglob("*.xml")))


def _picture(
    root: Element, file: Path, finder: PictureFinder, report: ConversionReport
) -> LabelledPicture:
    if root.tag != "annotation":
        raise ValueError(f"begins with <{root.tag:.40}>, must be <annotation>")
    name = (root.findtext("filename") or "").strip() or file.stem
    if finder.names:
        try:
            name = finder.find(name)
        except ValueError:  # some tools write a name that was changed later; the file's own counts
            name = finder.find(file.stem)
    picture = LabelledPicture(name_of(name, "filename"))
    size = [root.findtext(f"size/{side}") or "0" for side in ("width", "height")]
    width, height = (whole_number(side, "size") for side in size)
    if width > 0 and height > 0:
        picture.width, picture.height = width, height
    texts = [root.findtext(f"source/{key}") or "" for key in ("database", "annotation")]
    from_one = any(_OWN.search(text) for text in texts)
    for place, entry in enumerate(root.findall("object"), start=1):
        where = f"{file}: object {place}"
        with report.entry(where):
            box = [number(entry.findtext(f"bndbox/{key}"), key) for key in _CORNERS]
            if from_one:
                box[0], box[1] = box[0] - 1, box[1] - 1
            picture.regions.append(
                Region(name_of(entry.findtext("name"), "name"), box_fields(*box))
            )
            if entry.find("part") is not None:
                report.lose("parts of an object", where)
            if (entry.findtext("difficult") or "0").strip() == "1":
                report.change("object that is marked difficult, kept", where)
    return picture


_CORNERS = ("xmin", "ymin", "xmax", "ymax")
