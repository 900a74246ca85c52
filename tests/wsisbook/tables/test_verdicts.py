"""Claims as a notebook shows them: every direction with its own verdict."""

from collections.abc import Callable
from pathlib import Path

import pytest

from wsisbook.runs.run import execute
from wsisbook.runs.spec import load_study
from wsisbook.runs.store import open_store
from wsisbook.tables.claims import Verdicts, judge_claims
from wsisbook.tables.tables import Results

CLAIMS = """
- id: both-ways
  kind: ordering
  statement: High is above low.
  source: S1
  published: []
  check: {type: greater, table: tiny, metric: AP_B, chain: [low, high], also: [[high, shown]]}
- id: one-way
  kind: ordering
  statement: Low is above what is shown.
  source: S1
  published: []
  check: {type: greater, table: tiny, metric: AP_B, chain: [shown, low]}
"""


@pytest.fixture
def look(study_root: Path, change_study: Callable) -> Callable[[], Verdicts]:
    """Called: the verdicts on the tiny table, whose first rows are in a group."""
    (study_root / "papers/a-paper/claims.yml").write_text(CLAIMS, encoding="utf-8")
    change_study("      low:\n", "      low:\n        title: the low one\n        group: first\n")
    change_study("      high:\n", "      high:\n        group: first\n")

    def read() -> Verdicts:
        return judge_claims(Results(load_study(), open_store("lab"), "lab"), ["tiny"])

    return read


def fill() -> None:
    for table, row in (("stage-one", "detector"), ("tiny", "low"), ("tiny", "high")):
        for seed in (0, 1, 2):
            execute(table, row, seed, "lab")


def test_every_direction_has_its_verdict(look: Callable[[], Verdicts]) -> None:
    fill()
    both, one = look()
    assert [chain.verdict for chain in both.chains] == ["reproduced", "not reproduced"]
    assert [[cell.row for cell in chain.cells] for chain in both.chains] == [
        ["low", "high"], ["high", "shown"],
    ]  # fmt: skip
    assert both.verdict == "not reproduced" and one.verdict == "reproduced"
    text = look()._repr_markdown_()
    assert text == repr(look())
    lines = text.splitlines()
    assert "> High is above low." in lines
    assert (
        "- first: the low one 10.1 ± 0.1; high 20.1 ± 0.1 (3 seeds); gap +10.0 [+10.0, +10.0]: "
        "**reproduced**" in lines
    )
    assert "All together: **not reproduced**" in lines
    assert lines[-1] == (
        "- first: shown 5.1 ± 0.1; the low one 10.1 ± 0.1 (3 seeds); gap +5.0 [+5.0, +5.0]: "
        "**reproduced**"
    )


def test_what_is_still_open_is_what_is_not_reproduced(look: Callable[[], Verdicts]) -> None:
    assert len(look().still_open) == len(look()) == 2, "not run is open"
    assert "- first: the low one not run; high not run: **not run**" in repr(look())
    assert "- **not run**: High is above low." in repr(look().still_open)
    fill()
    assert [one.claim.id for one in look().still_open] == ["both-ways"]
    assert repr(look().still_open) == "- **not reproduced**: High is above low."
    assert repr(look().still_open.still_open) == repr(look().still_open)
    nothing = Verdicts(())
    assert repr(nothing) == "None: every claim is reproduced."


def test_a_claim_of_a_table_that_is_not_there_yet_is_said_to_be_so(
    study_root: Path, look: Callable[[], Verdicts]
) -> None:
    later = CLAIMS.replace("table: tiny", "table: later")
    (study_root / "papers/a-paper/claims.yml").write_text(later, encoding="utf-8")
    assert len(look()) == 0
