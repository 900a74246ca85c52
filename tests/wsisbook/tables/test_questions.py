"""Questions and their answers: read from a file, said in sentences from runs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from wsisbook.runs.run import execute
from wsisbook.runs.spec import load_study
from wsisbook.runs.store import open_store
from wsisbook.tables.key_results import answer as answer_all
from wsisbook.tables.key_results import as_html
from wsisbook.tables.questions import Comparison, load_questions, sentence, was_run
from wsisbook.tables.tables import Results


def results() -> Results:
    study = load_study()
    return Results(study, open_store("lab"), "lab")


def fill(rows: tuple[str, ...] = ("low", "high"), seeds: tuple[int, ...] = (0, 1, 2)) -> None:
    for row in rows:
        for seed in seeds:
            execute("tiny", row, seed, "lab")


def say(kind: str, *rows: str, lead: str = "") -> str:
    return sentence(results(), Comparison(kind, "tiny", "AP_B", rows, lead))


def test_a_gap_in_words(study_root: Path, change_study: Callable) -> None:
    assert say("gap", "low", "high") == "Not run yet."
    fill(("low",))
    assert say("gap", "low", "high", lead="with care") == "With care: not run yet: high."
    fill(("high",), (0, 1))
    few = say("gap", "low", "high")
    assert few.endswith("20.1 ± 0.1 and 10.1 ± 0.1 AP on B; 2 seeds, so no verdict.")
    fill(("high",), (2,))
    assert say("gap", "low", "high") == (
        "“high” is **10.0 points above** “low”: 20.1 ± 0.1 and 10.1 ± 0.1 AP on B (95% interval "
        "+10.0 to +10.0, 3 seeds)."
    )
    assert "**10.0 points below** “high”" in say("gap", "high", "low")
    change_study("{value: 20.0}", "{value: 10.0}")
    fill(("high",))
    assert "cannot be told apart: 10.1 ± 0.1 and 10.1 ± 0.1 AP on B, a gap of **+0.0**" in say(
        "gap", "low", "high"
    )


def test_groups_stand_before_the_sentence(study_root: Path, change_study: Callable) -> None:
    change_study("      low:\n", "      low:\n        group: few\n")
    change_study("      high:\n", "      high:\n        group: few\n")
    assert say("gap", "low", "high") == "Few: not run yet."
    assert say("gap", "low", "high", lead="half of it") == "Half of it; few: not run yet."


def test_an_order_a_share_and_numbers(study_root: Path) -> None:
    fill()
    assert say("rank", "low", "high", "shown") == (
        "**high 20.1 ± 0.1**; then low 10.1 ± 0.1; shown 5.1 ± 0.1 (AP on B, 3 seeds). The first "
        "is ahead of every other beyond noise."
    )
    assert say("share", "low", "high") == (
        "“low” reaches **50%** of “high” (10.1 ± 0.1 and 20.1 ± 0.1 AP on B)."
    )
    assert say("values", "low") == "AP on B: low **10.1 ± 0.1** (3 seeds)."
    fill(("high-3",), (0,))
    assert "(AP on B, 1 seed). So few seeds allow no verdict" in say("rank", "low", "high-3")


def test_what_is_level_with_the_first_is_named(study_root: Path, change_study: Callable) -> None:
    change_study("{value: 20.0}", "{value: 10.0}")
    fill()
    assert say("rank", "low", "high").endswith("Not to be told apart from the first: “high”.")


def test_old_numbers_are_said_to_be_old(study_root: Path, change_study: Callable) -> None:
    fill()
    change_study("lab: {steps: 10}", "lab: {steps: 11}")
    assert say("values", "low").endswith(" (stale)")
    assert was_run(results(), Comparison("values", "tiny", "AP_B", ("low",)))


GOOD = """
- anchor: high
  part: One
  question: Is high above low?
  page: part/tiny
  answers: [{kind: gap, table: tiny, column: AP_B, rows: [low, high], lead: so}]
"""


def test_questions_are_read(tmp_path: Path) -> None:
    assert load_questions(tmp_path) == ()
    (tmp_path / "questions.yml").write_text(GOOD, encoding="utf-8")
    (one,) = load_questions(tmp_path)
    assert one.answers == (Comparison("gap", "tiny", "AP_B", ("low", "high"), "so"),)
    assert one.claims == () and one.photo == ()


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("  page: part/tiny\n", "", r"questions.yml: question 1: lacks \['page'\]"),
        ("answers", "anwsers", "unknown key 'anwsers'.*'answers'"),
        ("kind: gap", "kind: gab", "question 1: answers: kind is 'gab'; it must be one of"),
        ("[low, high]", "[low]", "rows are .'low'.; kind 'gap' wants two"),
        ("[low, high]", "[low, high, low]", "kind 'gap' wants two"),
        ("kind: gap", "kind: rank", ""),
        (GOOD, GOOD * 2, r"anchors \['high'\] are used twice"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    (tmp_path / "questions.yml").write_text(GOOD.replace(old, new), encoding="utf-8")
    if not complaint:
        load_questions(tmp_path)
        return
    with pytest.raises(ValueError, match=complaint):
        load_questions(tmp_path)


def test_a_wrong_row_or_claim_is_named(study_root: Path) -> None:
    file = study_root / "book/questions.yml"
    (study_root / "papers/a-paper/claims.yml").write_text("", encoding="utf-8")
    file.write_text(GOOD.replace("[low, high]", "[low, hihg]"), encoding="utf-8")
    with pytest.raises(ValueError, match="no row 'hihg'.*'high'"):
        answer_all(results(), None)
    file.write_text(GOOD + "  claims: [nothing]\n", encoding="utf-8")
    with pytest.raises(ValueError, match="questions.yml: 'high': no claim 'nothing'"):
        answer_all(results(), None)


def test_a_sentence_as_html() -> None:
    assert as_html("a < b: **5 points** “x”") == "a &lt; b: <strong>5 points</strong> “x”"
