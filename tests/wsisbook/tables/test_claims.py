"""Verdicts: gaps seed by seed, and the pages that show them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsisbook.publish.claims_page import claims_page
from wsisbook.publish.markdown import escape
from wsisbook.publish.pages import write_pages
from wsisbook.runs.declared import Column
from wsisbook.runs.run import execute
from wsisbook.runs.spec import load_study
from wsisbook.runs.store import open_store
from wsisbook.tables.cells import Cell
from wsisbook.tables.claims import MEANINGS, VERDICTS, Verdicts, judge_chain, weakest
from wsisbook.tables.claims import judge_claims as judge
from wsisbook.tables.published import Check
from wsisbook.tables.tables import Results
from wsislib.atomic import write_json

CLAIMS = """
- id: high-above-low
  kind: ordering
  statement: The high row is above the low one | really.
  source: S1
  published:
    - {table: table-1, row: low, metric: AP}
  check: {type: greater, table: tiny, metric: AP_B, chain: [low, high]}
- id: of-another-table
  kind: ordering
  statement: A table that is not there yet.
  source: S1
  published: []
  check: {type: greater, table: later, metric: AP, chain: [a, b]}
"""


def judge_claims(tables: list[str] | None = None) -> Verdicts:
    """The claims, judged by the runs as they are now."""
    return judge(Results(load_study(), open_store("lab"), "lab"), tables)


def cell(*values: float) -> Cell:
    """A cell with one value a seed."""
    runs = tuple(f"runs/t/row/seed-{seed}" for seed in range(len(values)))
    state = "done" if values else "not run"
    return Cell("row", Column("AP", "AP", "AP"), values, runs, len(values), state)


def greater(*cells: Cell) -> str:
    return judge_chain(Check("greater", "t", "AP", ("a", "b")), cells)[0]


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        ((10.0, 10.2, 10.4), (11.0, 11.3, 11.4), "reproduced"),
        ((10.0, 20.0, 30.0), (11.0, 21.1, 30.9), "reproduced"),  # seeds scatter, the gap does not
        ((10.0, 10.2, 10.4), (10.4, 10.2, 10.3), "within noise"),
        ((10.0, 10.2, 10.4), (9.0, 9.1, 9.4), "not reproduced"),
        ((10.0,), (20.0,), "too few seeds"),
        ((10.0, 10.1), (20.0, 20.1), "too few seeds"),
        ((10.0, 10.1), (20.0, 20.1, 20.2), "too few seeds"),
        ((), (20.0, 20.1, 20.2), "not run"),
        ((), (20.0,), "not run"),
    ],
)
def test_an_order(low: tuple, high: tuple, verdict: str) -> None:
    assert greater(cell(*low), cell(*high)) == verdict


A, B, C = cell(1.0, 1.1, 1.2), cell(2.0, 2.1, 2.3), cell(2.1, 2.2, 2.1)


def test_a_chain_is_as_good_as_its_weakest_link() -> None:
    assert greater(A, B, C) == "within noise"
    assert greater(A, C, cell(1.0, 1.1, 1.2)) == "not reproduced"
    assert greater(A, B, cell()) == "not run"
    assert greater(A, B, cell(9.0)) == "too few seeds"


def test_a_chain_shows_the_gap_of_each_step() -> None:
    verdict, gaps = judge_chain(Check("greater", "t", "AP", ("a", "b", "c")), (A, B, C))
    assert [gap.sign for gap in gaps] == [1, 0] and verdict == "within noise"
    check = Check("greater_by", "t", "AP", ("a", "b", "c"), by=0.5)
    assert len(judge_chain(check, (A, B, C))[1]) == 1, "from the first row to the last"
    assert judge_chain(check, (A, B, cell(1.0)))[1] == ()


def test_a_gap_of_a_given_size() -> None:
    check = Check("greater_by", "t", "AP", ("a", "b"), by=4.5)
    low = cell(1.0, 1.1, 1.2)
    assert judge_chain(check, (low, cell(6.0, 6.1, 6.3)))[0] == "reproduced"
    assert judge_chain(check, (low, cell(5.4, 5.5, 6.2)))[0] == "reproduced", "4.5 on average"
    assert judge_chain(check, (low, cell(5.0, 5.5, 6.1)))[0] == "within noise"
    assert judge_chain(check, (low, cell(3.0, 3.1, 3.3)))[0] == "not reproduced"
    assert judge_chain(check, (low, cell(1.0, 9.0, 20.0)))[0] == "within noise"


def test_closeness() -> None:
    check = Check("close", "t", "AP", ("a", "b"), within=1.0)
    low = cell(1.0, 1.1, 1.2)
    assert judge_chain(check, (low, cell(1.5, 1.6, 1.8)))[0] == "reproduced"
    assert judge_chain(check, (low, cell(1.5, 2.6, 1.0)))[0] == "within noise", "a wide interval"
    assert judge_chain(check, (low, cell(2.0, 2.1, 2.3)))[0] == "within noise"
    assert judge_chain(check, (low, cell(4.0, 4.1, 4.3)))[0] == "not reproduced"
    assert judge_chain(check, (cell(1.0), cell(1.0)))[0] == "too few seeds"


def test_another_cause_is_no_reproduction() -> None:
    check = Check("greater", "t", "AP", ("a", "b"), other_cause="The head is constant.")
    assert judge_chain(check, (A, B))[0] == "same sign, other cause"
    assert judge_chain(check, (B, C))[0] == "within noise", "there is no sign to explain"
    assert judge_chain(check, (B, A))[0] == "not reproduced"
    assert list(MEANINGS) == list(VERDICTS)


scores = st.lists(st.floats(0, 100), min_size=1, max_size=4)


@settings(deadline=None, max_examples=50)
@given(scores, scores)
def test_an_order_and_its_opposite_are_never_both_reproduced(a: list, b: list) -> None:
    first, second = cell(*a), cell(*b)
    verdicts = {greater(first, second), greater(second, first)}
    assert verdicts in ({"reproduced", "not reproduced"}, {"within noise"}, {"too few seeds"})


def test_the_board_joins_claims_and_runs(study_root: Path, change_study: Callable) -> None:
    (study_root / "papers/a-paper/claims.yml").write_text(CLAIMS, encoding="utf-8")
    assert [j.verdict for j in judge_claims()] == ["not run", "not run"]
    for row in ("low", "high"):
        for seed in (0, 1):
            execute("tiny", row, seed, "lab")
    first = judge_claims().claims[0]
    assert (first.verdict, first.shown_verdict) == ("too few seeds", "no verdict (2 seeds)")
    assert first.ours == "low 10.1 ± 0.1; high 20.1 ± 0.1 (2 of 3 seeds)"
    for row in ("low", "high"):
        execute("tiny", row, 2, "lab")
    first, later = judge_claims()
    assert (first.verdict, first.notebook, first.stale) == ("reproduced", "part/tiny", False)
    assert first.ours == "low 10.1 ± 0.1; high 20.1 ± 0.1 (3 seeds)"
    assert first.published == "low 12.5" and first.chains[0].short == "10.1 → 20.1"
    assert later.verdict == "not run" and later.notebook == ""
    assert list(judge_claims(["later"])) == [later]
    assert list(judge_claims([])) == []

    change_study("lab: {steps: 10}", "lab: {steps: 11}")
    assert judge_claims().claims[0].stale
    change_study("[3, 4]", "[3]")
    claims = CLAIMS.replace("[low, high]", "[low, hihg]")
    (study_root / "papers/a-paper/claims.yml").write_text(claims, encoding="utf-8")
    with pytest.raises(ValueError, match=r"claims.yml: 'high-above-low': .*no row 'hihg'.*'high'"):
        judge_claims()


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        (["reproduced", "reproduced"], "reproduced"),
        (["reproduced", "within noise"], "within noise"),
        (["not reproduced", "within noise", "reproduced"], "not reproduced"),
        (["not reproduced", "not run"], "not run"),
        (["reproduced", "same sign, other cause"], "same sign, other cause"),
        (["not reproduced", "too few seeds"], "too few seeds"),
    ],
)
def test_a_claim_is_as_good_as_its_weakest_chain(answers: list, verdict: str) -> None:
    assert weakest(answers) == weakest(reversed(answers)) == verdict


def judged(root: Path, also: str) -> tuple[str, str, bool]:
    """Verdict, numbers and staleness of the first claim with `also` in its check."""
    claims = CLAIMS.replace("chain: [low, high]", f"chain: [low, high], also: {also}")
    (root / "papers/a-paper/claims.yml").write_text(claims, encoding="utf-8")
    first = judge_claims().claims[0]
    return first.verdict, first.ours, first.stale


def test_all_chains_of_a_claim_must_hold(study_root: Path, change_study: Callable) -> None:
    for table, row in (("tiny", "low"), ("tiny", "high"), ("stage-one", "detector")):
        for seed in (0, 1, 2):
            execute(table, row, seed, "lab")
    verdict, ours, _ = judged(study_root, "[[shown, low], [shown, high]]")
    assert verdict == "reproduced"
    # Rows by chain, each chain from its lowest, so a reader can follow the verdict.
    assert ours == (
        "low 10.1 ± 0.1; high 20.1 ± 0.1 (3 seeds). shown 5.1 ± 0.1; low 10.1 ± 0.1 (3 seeds). "
        "shown 5.1 ± 0.1; high 20.1 ± 0.1 (3 seeds)"
    )
    assert judged(study_root, "[[shown, low], [high, shown]]")[0] == "not reproduced"
    assert judged(study_root, "[[shown, low], [low, high-3]]")[:2] == ("not run", "")
    assert not judged(study_root, "[[shown, low]]")[2]
    change_study("{value: 5.0}", "{value: 5.5}")
    assert judged(study_root, "[[shown, low]]")[2], "a stale number in any chain is said"
    with pytest.raises(ValueError, match=r"'high-above-low': .*no row 'lwo'.*'low'"):
        judged(study_root, "[[shown, lwo]]")


def test_the_pages_are_generated(study_root: Path) -> None:
    (study_root / "papers/a-paper/claims.yml").write_text(CLAIMS, encoding="utf-8")
    execute("tiny", "low", 0, "lab")
    study, store = load_study(), open_store("lab")
    book = study_root / "book"
    files = write_pages(study, store, "lab", study_root / "build/book", book)
    assert files == [book / "results.md", book / "claims.md", book / "status.md"]
    claims, status = (file.read_text(encoding="utf-8") for file in files[1:])
    assert "[part/tiny](part/tiny.ipynb)" in claims and "no table yet" in claims
    write_json(book / "part/tiny.ipynb", {"cells": [{"source": ["# Tiny *things*\n", "\nWhy?"]}]})
    titled = claims_page(judge_claims(), "lab", study_root)
    assert "[Tiny \\*things\\*](part/tiny.ipynb)" in titled
    assert "| S1 | x | – | – |" in claims, "the legend of source tags"
    (book / "part/tiny.ipynb").unlink()
    assert "The high row is above the low one \\| really." in claims
    assert "| tiny/low/seed-0 | done |" in status and "| tiny/low/seed-1 | missing |" in status
    for line in (claims + status).splitlines():
        if line.startswith("|"):
            cells = line.replace("\\|", "").count("|") - 1
            assert cells in (4, 5, 7), line
    assert str(study_root) not in claims + status
    assert claims == claims_page(judge_claims(), "lab", study_root)
    assert "photographs" not in status, "this study has no such scale"


PHOTO_TABLE = """
  pictured:
    title: The same of photographs
    experiment: fake_experiment_for_tests:FAKE
    notebook: part/tiny
    columns: {AP_six: {metric: segm.B.AP, title: AP of six}}
    scales: {photo: {steps: 10}}
    rows:
      low: {change: {value: 10.0}}
      high: {change: {value: 20.0}}
"""
OF_PHOTOGRAPHS = CLAIMS.replace(
    "chain: [low, high]}\n", "chain: [low, high]}\n  photo: {table: pictured, metric: AP_six}\n"
)


def test_a_claim_has_a_verdict_of_its_own_on_photographs(
    study_root: Path, change_study: Callable
) -> None:
    (study_root / "papers/a-paper/claims.yml").write_text(OF_PHOTOGRAPHS, encoding="utf-8")
    change_study("  smoke: {seeds: [0]}\n", "  smoke: {seeds: [0]}\n  photo: {seeds: [0, 1, 2]}\n")
    change_study("tables:\n", "tables:" + PHOTO_TABLE)

    def photo_of_both() -> list[str]:
        study = load_study()
        lab, photo = (Results(study, open_store(s), s) for s in ("lab", "photo"))
        both = judge(lab, photo=photo)
        return [one.photo.shown_verdict if one.photo else "none" for one in both]

    def written() -> str:
        files = write_pages(
            load_study(), open_store("lab"), "lab", study_root / "build", study_root / "book"
        )
        return "".join(file.read_text(encoding="utf-8") for file in files)

    assert photo_of_both() == ["not run", "none"]
    assert "| not run | not run | – | [part/tiny]" in written()
    said = []
    for seed in (0, 1, 2):
        for row in ("low", "high"):
            execute("pictured", row, seed, "photo")
            said.append(photo_of_both()[0])
    one, two = "no verdict (1 seed)", "no verdict (2 seeds)"
    assert said == ["not run", one, one, two, two, "reproduced"]
    assert (study_root / "results/photo/runs/pictured/low/seed-0").is_dir()
    pages = written()
    assert "| not run | **reproduced**: low 10.1 ± 0.1; high 20.1 ± 0.1 (3 seeds) |" in pages
    assert "## Runs on photographs" in pages and "| pictured/low/seed-2 | done |" in pages
    # A page reads the same from the table of photographs.
    study = load_study()
    (alone,) = judge(Results(study, open_store("photo"), "photo"), ["pictured"])
    assert alone.shown_verdict == "reproduced" and alone.claim.id == "high-above-low"


@pytest.mark.parametrize(
    ("photo", "complaint"),
    [
        ("{table: pictured}", r"high-above-low': photo: lacks \['metric'\]"),
        ("{table: pictured, metric: AP, within: 2}", "photo: unknown key 'within'"),
        ("{table: pictured, metric: AP, chain: [low]}", "photo: chain is .*two or more"),
    ],
)
def test_a_wrong_line_of_photographs_is_named(study_root: Path, photo: str, complaint: str) -> None:
    text = OF_PHOTOGRAPHS.replace("{table: pictured, metric: AP_six}", photo)
    (study_root / "papers/a-paper/claims.yml").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=complaint):
        judge_claims()


def test_another_cause_is_declared_and_holds_on_photographs_too(
    study_root: Path, change_study: Callable
) -> None:
    text = OF_PHOTOGRAPHS.replace(
        "chain: [low, high]}", "chain: [low, high],\n          other_cause: 'It is\n  drawn.'}"
    )
    file = study_root / "papers/a-paper/claims.yml"
    file.write_text(text, encoding="utf-8")
    for row in ("low", "high"):
        for seed in (0, 1, 2):
            execute("tiny", row, seed, "lab")
    first = judge_claims().claims[0]
    assert first.verdict == "same sign, other cause" and first.cause == "It is drawn."
    assert first.claim.photo is not None and first.claim.photo.other_cause == "It is drawn."
    assert "**same sign, other cause**: The high row" in repr(judge_claims().still_open)
    assert repr(judge_claims(["tiny"])).endswith("It is drawn.")
    own = text.replace("metric: AP_six}", 'metric: AP_six, other_cause: ""}')
    file.write_text(own, encoding="utf-8")
    claim = judge_claims().claims[0].claim
    assert claim.photo is not None and claim.photo.other_cause == ""


def test_a_claim_is_judged_at_the_papers_scale_too(
    study_root: Path, change_study: Callable
) -> None:
    (study_root / "papers/a-paper/claims.yml").write_text(CLAIMS, encoding="utf-8")
    change_study("  smoke: {seeds: [0]}\n", "  smoke: {seeds: [0]}\n  full: {seeds: [0, 1, 2]}\n")
    study = load_study()
    lab, full = (Results(study, open_store(s), s) for s in ("lab", "full"))
    first = judge(lab, paper=full, only=["high-above-low"]).claims[0]
    assert first.paper is not None and first.paper.verdict == "not run"
    assert len(judge(lab, only=["high-above-low"])) == 1 and judge_claims().claims[0].paper is None


def test_markdown_shows_text_as_it_is() -> None:
    assert escape("Mask^X *a* | $b$") == r"Mask\^X \*a\* \| \$b\$"
