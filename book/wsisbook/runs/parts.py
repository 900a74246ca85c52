"""Version numbers of the parts that results depend on.

A run's record holds the versions of the parts that its experiment uses. When a part's number
here is higher than in a record, that run is *stale*. So: raise a part's number when, and only
when, a change moves the numbers that it gives. An edit of a comment or a renamed variable
leaves hours of runs valid.

The golden runs check that: tests/golden has tiny runs of every part with the numbers they gave;
a test fails when they move, and says to raise the number here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wsislib.strict import did_you_mean

PART_VERSIONS: Mapping[str, int] = {
    "world": 1,
    "coco": 1,
    "voc": 1,
    "visual-genome": 1,
    "labels": 1,
    "grabcut": 1,
    "mask_rcnn": 3,
    "transfer": 3,
    "wish": 2,
    "pseudo_points": 1,
    "engine": 1,
    "evaluation": 1,
}


def versions_of(parts: Iterable[str]) -> dict[str, int]:
    """Part name -> its version now; a ValueError names a part that does not exist."""
    versions = {}
    for part in parts:
        if part not in PART_VERSIONS:
            raise ValueError(f"parts.py: unknown part {part!r}{did_you_mean(part, PART_VERSIONS)}")
        versions[part] = PART_VERSIONS[part]
    return versions


def version_changes(stored: Mapping[str, int], current: Mapping[str, int]) -> list[str]:
    """What changed, one text such as 'part world: 1 -> 2' a part."""
    return [
        f"part {part}: {stored.get(part) or 'not used'} -> {current.get(part) or 'not used'}"
        for part in sorted({*stored, *current})
        if stored.get(part) != current.get(part)
    ]
