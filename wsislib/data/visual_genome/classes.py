"""The class list of Visual Genome in Learning to Segment Every Thing (2018).

The 3,000 most frequent synsets, with COCO's 80 categories among them: those come first, so that
the weights of COCO's detector are the first rows of Visual Genome's, and the rest follows sorted.
A COCO category is the most frequent listed synset of its name; 18 categories are mapped by hand.
Both the rule and the 18 pairs are those of the authors' code, where hydrants are "water_faucet"
because Visual Genome's annotators called them so.

Two deliberate differences: synsets that occur equally often are taken in the order of their names,
not of the file; and boxes of a COCO synset that is not among the most frequent are kept (the
authors list it without boxes), as a category without a box cannot be learnt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from wsislib.atomic import read_json

CLASS_COUNT = 3000

COCO_NAMES = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat",
    "traffic light", "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog",
    "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella",
    "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite",
    "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich",
    "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote",
    "keyboard", "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book",
    "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip
"""COCO's 80 categories in the order of their ids."""

HAND_MAPPINGS = {
    "fire hydrant": "water_faucet.n.01", "stop sign": "sign.n.02", "handbag": "bag.n.04",
    "suitcase": "bag.n.06", "skis": "ski.n.01", "sports ball": "ball.n.01",
    "wine glass": "wineglass.n.01", "orange": "orange.n.01", "hot dog": "hotdog.n.01",
    "donut": "doughnut.n.02", "couch": "sofa.n.01", "potted plant": "plant.n.01",
    "dining table": "dinner_table.n.01", "tv": "television.n.01",
    "remote": "remote_control.n.01", "cell phone": "cellular_telephone.n.01",
    "teddy bear": "teddy.n.01", "hair drier": "hand_blower.n.01",
}  # fmt: skip


def most_frequent(counts: Mapping[str, int], class_count: int = CLASS_COUNT) -> tuple[str, ...]:
    """The most frequent synsets, ties by name; raises ValueError where there are fewer."""
    if not 1 <= class_count <= len(counts):
        raise ValueError(
            f"{class_count} classes wanted of {len(counts)} synsets; ask for 1 to {len(counts)}"
        )
    return tuple(sorted(counts, key=lambda name: (-counts[name], name))[:class_count])


def coco_synsets(
    listed: Sequence[str],
    coco_names: Sequence[str] = COCO_NAMES,
    user_mappings: Mapping[str, str] | None = None,
) -> tuple[str, ...]:
    """The synset of each COCO category.

    `user_mappings` go before the hand mappings, and these before the first synset of the
    category's name in `listed`. Raises ValueError where a category has none, or two the same.
    """
    by_name: dict[str, str] = {}
    for synset in listed:
        by_name.setdefault(plain_name(synset), synset)
    chosen = {**by_name, **HAND_MAPPINGS, **(user_mappings or {})}
    missing = [name for name in coco_names if name not in chosen]
    if missing:
        near = get_close_matches(missing[0], by_name, n=3, cutoff=0.5)
        hint = f" (near {missing[0]!r}: {', '.join(by_name[n] for n in near)})" if near else ""
        raise ValueError(
            f"COCO categories without a synset: {', '.join(missing)}{hint}; name one for each in "
            'a mapping file, {"category": "synset", ...}'
        )
    category_of: dict[str, str] = {}
    for name in coco_names:
        first = category_of.setdefault(chosen[name], name)
        if first != name:
            raise ValueError(
                f"COCO categories {first!r} and {name!r} have the same synset {chosen[name]!r}; "
                "give one of them another in a mapping file"
            )
    return tuple(category_of)


def class_layout(listed: Sequence[str], coco: Sequence[str]) -> tuple[str, ...]:
    """COCO's synsets in COCO's order, then the other listed ones sorted."""
    return (*coco, *sorted(set(listed) - set(coco)))


def plain_name(synset: str) -> str:
    """A synset as plain words: traffic_light.n.01 as "traffic light"."""
    return synset.rsplit(".", 2)[0].replace("_", " ")


def read_mappings(
    path: Path, counts: Mapping[str, int], coco_names: Sequence[str] = COCO_NAMES
) -> dict[str, str]:
    """A user's mapping file: a JSON object of COCO category to synset.

    Raises ValueError for a category that COCO lacks and for a synset that no object has.
    """
    try:
        content = read_json(path)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror or error}") from None
    if not isinstance(content, dict):
        raise ValueError(f'{path}: must be a JSON object, {{"category": "synset", ...}}')
    for name, synset in content.items():
        if name not in coco_names:
            near = get_close_matches(name, coco_names, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"{path}: {name!r} is no COCO category{hint}")
        if not isinstance(synset, str) or synset not in counts:
            near = get_close_matches(str(synset), counts, n=3)
            hint = f"; near it: {', '.join(near)}" if near else ""
            raise ValueError(f"{path}: {name!r}: no object has the synset {synset!r:.60}{hint}")
    return content
