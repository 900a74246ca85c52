"""Measured numbers against recorded ones."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from wsisbook.runs.parts import PART_VERSIONS
from wsislib.atomic import read_json

Numbers = Mapping[str, float | str]
FOLDER = Path(__file__).parent


def version_of(name: str) -> Any:
    """A part's version; for the pipeline, which joins the parts, the versions of all of them."""
    return dict(PART_VERSIONS) if name == "pipeline" else PART_VERSIONS[name]


def recorded(part: str) -> dict[str, Any] | None:
    """The record of a part: version and numbers; None where there is none."""
    try:
        return read_json(FOLDER / f"{part}.json")
    except FileNotFoundError:
        return None


def moves(before: Numbers, now: Numbers) -> dict[str, float]:
    """Name -> relative move; infinite where a digest or a name differs."""
    found = {}
    for name in {*before, *now}:
        old, new = before.get(name), now.get(name)
        if old == new:
            found[name] = 0.0
        elif isinstance(old, str) or isinstance(new, str) or old is None or new is None:
            found[name] = math.inf
        else:
            found[name] = abs(old - new) / max(abs(old), abs(new))
    return found


def moved(before: Numbers, now: Numbers, tolerance_of: Callable[[str], float]) -> list[str]:
    """What differs by more than its tolerance (relative; near zero a hundredth of it)."""
    changes = []
    for name in sorted({*before, *now}):
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        if isinstance(old, str) or isinstance(new, str) or old is None or new is None:
            changes.append(f"{name}: {old} -> {new}")
            continue
        tolerance = tolerance_of(name)
        if not math.isclose(old, new, rel_tol=tolerance, abs_tol=tolerance * 0.01):
            changes.append(f"{name}: {old:.6g} -> {new:.6g}")
    return changes


def advice(part: str, changes: list[str]) -> str:
    """What to do when numbers moved."""
    what = (
        f"raise it to {PART_VERSIONS[part] + 1}"
        if part in PART_VERSIONS
        else (
            "and no part's own numbers moved, then experiments/mask_rcnn.py did: "
            "raise part 'mask_rcnn'"
        )
    )
    shown = "; ".join(changes[:5]) + (f"; and {len(changes) - 5} more" if len(changes) > 5 else "")
    return (
        f"numbers of part {part!r} moved ({shown}). If that is meant, {what} "
        "in book/wsisbook/runs/parts.py, which makes the runs that use it stale, and run "
        "`python -m tests.golden.update`. If not, the change broke something."
    )
