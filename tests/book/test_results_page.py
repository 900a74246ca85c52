"""A dozen questions of readers, each answered on the Results page with a number, in one screen."""

import functools
import re
from pathlib import Path

import pytest

from wsisbook.publish.results_page import results_page
from wsisbook.runs.declared import PHOTO
from wsisbook.runs.spec import load_study
from wsisbook.runs.store import open_store
from wsisbook.tables.claims import judge_claims
from wsisbook.tables.key_results import answer
from wsisbook.tables.published import load_claims
from wsisbook.tables.questions import load_questions
from wsisbook.tables.tables import Results

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
SCREEN = 40  # lines of text that a screen shows
WIDTH = 110  # letters of a line on the page
TABLE_PAGES = (
    "part0_basics/masks_are_worth",
    "part1_transfer/table_1",
    "part1_transfer/table_2",
    "part1_transfer/figure_3",
    "part1_transfer/large_vocabulary",
    "part2_wish/table_1",
    "part2_wish/budgets",
    "part2_wish/figure_3",
    "part2_wish/ablations",
)

# What a reader asks -> the place that answers it, and a pattern of the answer.
ASKED = {
    "Which labels should I buy with a small budget?": ("small-budget", r"\*\*\w+, an eighth \d"),
    "Does the stop-gradient matter, and how much?": ("stop-gradient", r"gradient stopped”.*\d\.\d"),
    "What does SAM's decoder cost?": ("sam-decoder", r"\*\*\d+\.\d points below\*\*"),
    "What is a box worth against a mask?": ("box-against-mask", r"reaches \*\*\d+%\*\*"),
    "Do tags pay?": ("tags", r"“tags”.*\d\.\d"),
    "Does a mix beat one kind?": ("mixes", r"tags \+ points \d+\.\d"),
    "Does weight transfer beat class-agnostic heads?": ("weight-transfer", r"\d\.\d points above"),
    "Does the MLP branch help?": ("mlp-branch", r"transfer \+ MLP”.*gap of \*\*\+?-?\d"),
    "Do the inputs of T matter?": ("transfer-input", r"T of random vectors \d+\.\d"),
    "Does GrabCut do as well?": ("grabcut", r"tested with GrabCut”.*\d\.\d"),
    "What are points, boxes and masks worth?": ("label-kinds", r"points \d+\.\d"),
    "Does it hold for thousands of categories?": ("large-vocabulary", r"IoU.*\d\.\d"),
}


@functools.cache
def page() -> str:
    """The Results page from the committed runs."""
    study = load_study(BOOK / "study.yml")
    lab, photo = (Results(study, open_store(s, study.root), s) for s in ("lab", PHOTO))
    judged = {one.claim.id: one for one in judge_claims(lab, photo=photo)}
    return results_page(answer(lab, photo, claims=judged), "lab", study.root)


def section(anchor: str) -> str:
    """What stands between an anchor and the next place."""
    _, _, after = page().partition(f"(result-{anchor})=\n")
    assert after, f"no place result-{anchor}"
    return re.split(r"\n\(result-|\n## ", after)[0]


@pytest.mark.parametrize("question", ASKED)
def test_a_readers_question_is_answered_in_one_screen(question: str) -> None:
    anchor, wanted = ASKED[question]
    text = section(anchor)
    assert f"](#result-{anchor})" in page(), "the contents lead to it"
    assert re.search(wanted, text), text
    lines = sum(1 + len(line) // WIDTH for line in text.splitlines())
    assert lines <= SCREEN
    assert ".ipynb)" in text, "the page behind it"


def test_each_line_of_the_contents_has_its_place() -> None:
    linked = re.findall(r"\]\(#(result-[\w-]+)\)", page())
    assert linked == re.findall(r"^\((result-[\w-]+)\)=$", page(), re.MULTILINE)
    assert len(linked) == len(load_questions(BOOK))


def test_every_claim_belongs_to_one_question() -> None:
    asked = [claim for one in load_questions(BOOK) for claim in one.claims]
    assert sorted(asked) == sorted(claim.id for claim in load_claims())


def test_questions_hold_words_only() -> None:
    """Every number of an answer comes from runs."""
    for one in load_questions(BOOK):
        words = [one.question, *(answer.lead for answer in (*one.answers, *one.photo))]
        assert not re.search(r"\d", " ".join(words)), one.anchor


def test_titles_of_claims_are_short() -> None:
    for claim in load_claims():
        assert claim.title != claim.statement and len(claim.title) <= 90, claim.id


def test_another_cause_is_told_without_numbers() -> None:
    told = [claim.check.other_cause for claim in load_claims() if claim.check.other_cause]
    assert told and not re.search(r"\d", " ".join(told))


@pytest.mark.parametrize("name", TABLE_PAGES)
def test_every_table_page_has_key_results(name: str) -> None:
    text = (BOOK / f"{name}.ipynb").read_text(encoding="utf-8")
    assert text.count(f'study.key_results(\\"{name}\\")') == 1
    assert name in {one.page for one in load_questions(BOOK)}


def test_questions_name_pages_tables_rows_and_columns_that_are_there() -> None:
    study = load_study(BOOK / "study.yml")
    for one in load_questions(BOOK):
        assert (BOOK / f"{one.page}.ipynb").is_file()
        for scale, answers in (("lab", one.answers), (PHOTO, one.photo)):
            for said in answers:
                table = study.table(said.table)
                assert scale in table.scales
                table.column(said.column)
                for row in said.rows:
                    table.row(row)
