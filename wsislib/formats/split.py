"""Train and val from one COCO file: by groups of images, alike in their categories.

Groups are dealt out as by Sechidis, Tsoumakas and Vlahavas, "On the Stratification of Multi-Label
Data" (ECML PKDD 2011), their iterative stratification: the category that fewest groups still have
comes first, and each of its groups goes to the side that still wants most of it.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

Record = Mapping[str, Any]
RULES = "image, folder, prefix:SEPARATOR, regex:PATTERN or field:NAME"


@dataclass(frozen=True)
class Group:
    """Images that stay together."""

    key: str
    images: frozenset[int]
    categories: Mapping[int, int]  # images of the group that have each category


def groups_of(document: Record, rule: str) -> list[Group]:
    """Groups of a sound COCO document's images, by one of `RULES`; equal files are one group.

    Raises ValueError for another rule, or naming an image that it does not fit.
    """
    key_of = _rule(rule)
    members: dict[str, set[int]] = {}
    by_file: dict[str, str] = {}
    for record in document["images"]:
        key, name = key_of(record), record["file_name"]
        if by_file.setdefault(name, key) != key:
            raise ValueError(f"image {record['id']}: {name} is in two groups by '{rule}'")
        members.setdefault(key, set()).add(record["id"])
    within: dict[int, set[int]] = {record["id"]: set() for record in document["images"]}
    for annotation in document["annotations"]:
        within[annotation["image_id"]].add(annotation["category_id"])
    return [
        Group(key, frozenset(ids), Counter(c for image in ids for c in within[image]))
        for key, ids in members.items()
    ]


def choose_val(groups: list[Group], share: float, seed: int, stratify: bool) -> set[str]:
    """Keys of the groups for validation, about `share` of the images; the same for a seed.

    The order of the file has no say. Raises ValueError where one side would have no image.
    """
    if not 0 < share < 1:
        raise ValueError(f"--share is {share:g}; it must be above 0 and below 1, such as 0.2")
    if len(groups) < 2:
        raise ValueError(f"{len(groups)} group of images cannot be split; give a finer --by")

    def draw(group: Group) -> bytes:
        return hashlib.sha256(f"{seed}\0{group.key}".encode()).digest()

    waiting = sorted(groups, key=draw)
    every = sum(len(group.images) for group in groups)
    total: Counter[int] = Counter()
    for group in groups:
        total.update(group.categories)
    wanted = {"val": share * every, "train": (1 - share) * every}
    of = {side: {c: part / every * n for c, n in total.items()} for side, part in wanted.items()}
    chosen: set[str] = set()
    while waiting:
        rarest, members = _rarest(waiting) if stratify else (None, waiting)
        for group in members:
            most = {s: (of[s][rarest] if rarest is not None else 0.0, wanted[s]) for s in wanted}
            side = max(sorted(most), key=lambda s: most[s])
            wanted[side] -= len(group.images)
            for category, count in group.categories.items():
                of[side][category] -= count
            chosen |= {group.key} if side == "val" else set()
        gone = {group.key for group in members}
        waiting = [group for group in waiting if group.key not in gone]
    if not chosen:  # a share below one group: the smallest, so that there is something to judge by
        chosen = {min(sorted(groups, key=draw), key=lambda group: len(group.images)).key}
    if len(chosen) == len(groups):
        raise ValueError(f"--share {share:g} leaves no image to train on; give a smaller one")
    return chosen


def split_part(document: Record, images: set[int]) -> dict[str, Any]:
    """The document of some of its images, with every category; unfinished drafts stay behind."""
    return {
        **{key: value for key, value in document.items() if key != "drafts"},
        "images": [record for record in document["images"] if record["id"] in images],
        "annotations": [a for a in document["annotations"] if a["image_id"] in images],
    }


def _rarest(groups: list[Group]) -> tuple[int | None, list[Group]]:
    """The category that fewest groups have, and those; all groups where none has any."""
    having: Counter[int] = Counter(c for group in groups for c in group.categories)
    if not having:
        return None, groups
    rarest = min(having, key=lambda category: (having[category], category))
    return rarest, [group for group in groups if rarest in group.categories]


def _rule(rule: str) -> Callable[[Record], str]:
    kind, _, value = rule.partition(":")
    if rule == "image":
        return lambda record: record["file_name"]
    if rule == "folder":
        return lambda record: PurePosixPath(record["file_name"]).parent.as_posix()
    if kind == "prefix" and value:
        return lambda record: PurePosixPath(record["file_name"]).name.partition(value)[0]
    if kind == "field" and value:
        return lambda record: _field(record, value)
    if kind == "regex" and value:
        try:
            pattern = re.compile(value)
        except re.error as error:
            raise ValueError(f"--by {rule}: no regular expression ({error})") from None
        return lambda record: _match(record, pattern)
    raise ValueError(f"--by is {rule!r}; it may be {RULES}")


def _field(record: Record, name: str) -> str:
    if record.get(name) is None:
        raise ValueError(f"image {record['id']} ({record['file_name']}): has no field '{name}'")
    return str(record[name])


def _match(record: Record, pattern: re.Pattern[str]) -> str:
    found = pattern.search(record["file_name"])
    if found is None:
        name = record["file_name"]
        raise ValueError(f"image {record['id']}: {name!r} does not fit {pattern.pattern!r}")
    return found[1] if pattern.groups and found[1] is not None else found[0]
