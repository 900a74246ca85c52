"""Golden tiny runs: a part whose numbers move must raise its version, or runs lie about being
fresh."""

from fnmatch import fnmatchcase
from functools import partial
from math import inf

import pytest
import torch

from tests.golden.compare import advice, moved, moves, recorded, version_of
from tests.golden.golden_numbers import exact
from tests.golden.measure import MEASURES
from tests.golden.tolerances import LOOSER, TOLERANCES, tolerance_of
from wsisbook.runs.parts import PART_VERSIONS, version_changes, versions_of
from wsislib.data.world import WORLD_VERSION


@pytest.mark.parametrize("part", MEASURES)
def test_the_numbers_of_a_part_stand(part: str) -> None:
    record = recorded(part)
    assert record is not None, f"part {part!r} has no record; run `python -m tests.golden.update`"
    assert record["version"] == version_of(part), (
        f"part {part!r} is version {version_of(part)}, its record is of version "
        f"{record['version']}; run `python -m tests.golden.update`"
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        changes = moved(record["numbers"], MEASURES[part](), partial(tolerance_of, part))
    finally:
        torch.set_num_threads(threads)
    assert not changes, advice(part, changes)


def test_every_part_has_a_golden_run() -> None:
    assert set(MEASURES) == set(TOLERANCES) == {*PART_VERSIONS, "pipeline"}


def test_the_worlds_own_version_is_the_parts() -> None:
    assert PART_VERSIONS["world"] == WORLD_VERSION


def test_moves_beyond_the_tolerance_are_named_with_the_way_out() -> None:
    before = {"a": 1.0, "b": 100.0, "zero": 0.0, "gone": 1.0}
    assert moved(before, {**before, "a": 1.005}, lambda name: 0.01) == []
    strict = {**before, "a": 1.005, "b": 100.5}
    assert moved(before, strict, lambda name: 1e-6 if name == "b" else 0.01) == ["b: 100 -> 100.5"]
    now = {"a": 1.5, "b": 100.0, "zero": 1.0, "new": 2.0}
    changes = moved(before, now, lambda name: 0.01)
    assert [change.partition(":")[0] for change in changes] == ["a", "gone", "new", "zero"]
    text = advice("world", changes)
    assert (
        f"raise it to {PART_VERSIONS['world'] + 1} in book/wsisbook/runs/parts.py" in text
        and "a: 1 -> 1.5" in text
    )
    assert "raise part 'mask_rcnn'" in advice("pipeline", changes)
    assert moved({"x": exact([1, 2])}, {"x": exact([1, 3])}, lambda name: 1e-6)
    assert moves(before, now) == {"a": 0.5 / 1.5, "b": 0, "zero": 1, "gone": inf, "new": inf}


def test_looser_tolerances_are_of_numbers_that_are_recorded() -> None:
    for part, patterns in LOOSER.items():
        names = recorded(part)["numbers"]
        looser = [name for name in names if tolerance_of(part, name) > TOLERANCES[part]]
        assert 0 < len(looser) < len(names)
        assert all(any(fnmatchcase(name, p) for p in patterns) for name in looser)


def test_versions_by_name() -> None:
    assert versions_of(["world"]) == {"world": PART_VERSIONS["world"]}
    with pytest.raises(ValueError, match="unknown part 'wrold'"):
        versions_of(["wrold"])
    assert version_changes({"a": 1}, {"a": 2, "b": 1}) == [
        "part a: 1 -> 2",
        "part b: not used -> 1",
    ]
