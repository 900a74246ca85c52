"""Labels that were drawn on the stored pixels of photographs which their cameras turn.

Some tools ignore EXIF's orientation and show such a photograph lying on its side or its head.
Here every photograph is read upright (`wsislib.data.images`), so its labels must be turned with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from wsislib.data.images import ImageFacts, picture_facts, resolve_image
from wsislib.data.photographs.coco_labels import numbers
from wsislib.data.rle import decode_segmentation, encode_mask
from wsislib.data.turns import turn_pixels, turn_points

# In an image's record: its labels are known to be upright, whatever the file's orientation.
UPRIGHT = "labels_upright"

Unsure = Literal["ask", "turn", "keep"]
Document = dict[str, Any]


@dataclass(frozen=True)
class TurnedLabels:
    """A COCO document with all labels upright, and how many images were concerned."""

    document: Document
    turned: int  # images whose labels were turned
    kept: int  # images that their cameras turn, and whose labels were upright already


def turn_labels(
    document: Document, image_root: Path, source: Path, unsure: Unsure = "ask"
) -> TurnedLabels:
    """Turn the labels of every image that were drawn on its stored pixels.

    The size in an image's record says on which they were drawn. Where it does not (upside down,
    mirrored, square), `unsure` says what to do with all such images.

    Args:
        document: sound COCO; it is not changed.
        image_root: the folder that `file_name` is relative to.
        source: the file, for messages.
        unsure: turn, keep as they are, or raise where there are such images.

    Raises:
        ValueError: an image cannot be read, has neither of its two sizes, or is one to ask about;
            an annotation cannot be read.
    """
    facts = {record["id"]: _facts(record, image_root, source) for record in document["images"]}
    asked = [record for record in document["images"] if _unsure(record, facts[record["id"]])]
    if asked and unsure == "ask":
        raise ValueError(
            f"{source}: of {len(asked)} images (such as {asked[0]['file_name']}, EXIF orientation "
            f"{facts[asked[0]['id']].orientation}) the size does not tell whether labels were "
            "drawn on the upright picture. Look at one on the labelling page, which shows it "
            "upright: where the labels lie wrong say --unsure turn, else --unsure keep"
        )
    turning = {
        record["id"]: facts[record["id"]]
        for record in document["images"]
        if _on_stored(record, facts[record["id"]], unsure)
    }
    seen = {key for key, fact in facts.items() if fact.orientation != 1}
    images = [_record(record, facts[record["id"]]) for record in document["images"]]
    annotations = [
        _annotation(annotation, turning[annotation["image_id"]], source)
        if annotation["image_id"] in turning
        else annotation
        for annotation in document["annotations"]
    ]
    turned = {**document, "images": images, "annotations": annotations}
    return TurnedLabels(turned, len(turning), len(seen) - len(turning))


def _facts(record: Mapping[str, Any], root: Path, source: Path) -> ImageFacts:
    facts = picture_facts(resolve_image(root, record["file_name"]))
    size = record["width"], record["height"]
    if facts.orientation != 1 and size not in (facts.stored, (facts.width, facts.height)):
        raise ValueError(
            f"{source}, image {record['id']}: {record['file_name']} has {facts.width} x "
            f"{facts.height} pixels upright, the record says {size[0]} x {size[1]}; correct it"
        )
    return facts


def _unsure(record: Mapping[str, Any], facts: ImageFacts) -> bool:
    return facts.orientation != 1 and not facts.size_tells and not record.get(UPRIGHT)


def _on_stored(record: Mapping[str, Any], facts: ImageFacts, unsure: Unsure) -> bool:
    if _unsure(record, facts):
        return unsure == "turn"
    return facts.size_tells and (record["width"], record["height"]) == facts.stored


def _record(record: Document, facts: ImageFacts) -> Document:
    if facts.orientation == 1:
        return record
    return {**record, "width": facts.width, "height": facts.height, UPRIGHT: True}


def _annotation(annotation: Document, facts: ImageFacts, source: Path) -> Document:
    """An annotation with everything turned that has a place in the picture."""
    width, height = facts.stored
    turned = dict(annotation)

    def turn(flat: list[float]) -> list[float]:
        points = np.array(flat, dtype=np.float64).reshape(-1, 2)
        return turn_points(points, width, height, facts.orientation).reshape(-1).tolist()

    try:
        if annotation.get("bbox"):
            x, y, w, h = numbers(annotation["bbox"], "bbox", 4)
            x0, y0, x1, y1 = turn([x, y, x + w, y + h])
            turned["bbox"] = [min(x0, x1), min(y0, y1), abs(x1 - x0), abs(y1 - y0)]
        if annotation.get("point"):
            turned["point"] = turn(numbers(annotation["point"], "point", 2))
        if annotation.get("keypoints"):
            # Those that are not labelled are 0, 0, 0.
            triples = np.array(annotation["keypoints"], dtype=np.float64).reshape(-1, 3)
            rows = [[*turn([x, y]), v] if v else [0, 0, 0] for x, y, v in triples.tolist()]
            turned["keypoints"] = [value for row in rows for value in row]
        shape = annotation.get("segmentation")
        if isinstance(shape, dict):
            mask = decode_segmentation(shape, height, width)
            turned["segmentation"] = encode_mask(turn_pixels(mask, facts.orientation))
        elif shape:
            turned["segmentation"] = [turn(part) for part in shape]
    except (TypeError, ValueError) as error:
        place = f"{source}, image {annotation['image_id']}, annotation {annotation.get('id')}"
        raise ValueError(f"{place}: cannot be turned ({error})") from None
    return turned
