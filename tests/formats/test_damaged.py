"""No damaged input ends a conversion without a message, or never."""

from pathlib import Path

from tests.formats.damaged import run


def test_damaged_inputs_are_read_or_refused(tmp_path: Path) -> None:
    outcomes = run(200, 0, tmp_path)
    assert min(outcomes["read"], outcomes["refused"]) > 20, outcomes
