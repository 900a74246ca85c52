"""A reader's questions, and answers made from runs: sentences, and the verdicts on claims.

`book/questions.yml` holds the questions of the Results page in its order. A question names the page
that answers it, the claims that belong to it, and `answers`: which rows of which table are
compared, and how. Every number in a sentence comes from runs. In a sentence `**` stands around what
is bold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from wsisbook.runs.declared import Row
from wsisbook.tables.cells import Cell
from wsisbook.tables.gaps import LEVEL, gap_between
from wsisbook.tables.tables import Results
from wsislib.strict import reject_unknown

FILE = "questions.yml"  # in the book's folder
NOT_RUN = "not run yet"
_KEYS = ("anchor", "part", "question", "page", "claims", "answers", "photo")
_ANSWER_KEYS = ("kind", "table", "column", "rows", "lead")
_FEWEST_ROWS = {"gap": 2, "rank": 2, "share": 2, "values": 1}


@dataclass(frozen=True)
class Comparison:
    """One sentence to be made from numbers.

    `kind`: "gap" says whether the second row lies above the first, and by how much; "rank" orders
    rows by their number; "share" says how much of the second row's number the first reaches;
    "values" lists numbers.
    """

    kind: str
    table: str
    column: str
    rows: tuple[str, ...]
    lead: str = ""  # words before the sentence, without numbers


@dataclass(frozen=True)
class Question:
    """What a reader asks, and where the answer is."""

    anchor: str  # of its place on the Results page, without `result-`
    part: str
    question: str
    page: str  # path in the book, without ending
    claims: tuple[str, ...]
    answers: tuple[Comparison, ...]
    photo: tuple[Comparison, ...] = ()  # the same of tables of photographs


def load_questions(book: Path) -> tuple[Question, ...]:
    """The questions of a book; none where it has no such file. ValueError names the wrong entry."""
    file = book / FILE
    if not file.is_file():
        return ()
    entries = yaml.safe_load(file.read_text(encoding="utf-8")) or []
    questions = tuple(_question(f"{file}: question {n}", e) for n, e in enumerate(entries, 1))
    anchors = [one.anchor for one in questions]
    doubled = sorted({anchor for anchor in anchors if anchors.count(anchor) > 1})
    if doubled:
        raise ValueError(f"{file}: anchors {doubled} are used twice; give each question its own")
    return questions


def _question(where: str, entry: Any) -> Question:
    _check(where, entry, _KEYS, _KEYS[:4])
    texts = {key: str(entry[key]) for key in _KEYS[:4]}
    answers, photo = (
        tuple(_answer(f"{where}: {key}", one) for one in entry.get(key, ()))
        for key in ("answers", "photo")
    )
    claims = tuple(str(claim) for claim in entry.get("claims", ()))
    return Question(**texts, claims=claims, answers=answers, photo=photo)


def _answer(where: str, entry: Any) -> Comparison:
    _check(where, entry, _ANSWER_KEYS, _ANSWER_KEYS[:4])
    kind, rows = entry["kind"], tuple(str(row) for row in entry["rows"])
    if kind not in _FEWEST_ROWS:
        raise ValueError(f"{where}: kind is {kind!r}; it must be one of {sorted(_FEWEST_ROWS)}")
    exact = kind in ("gap", "share")
    if len(rows) < _FEWEST_ROWS[kind] or (exact and len(rows) > 2):
        wanted = "two" if exact else f"at least {_FEWEST_ROWS[kind]}"
        raise ValueError(f"{where}: rows are {list(rows)}; kind {kind!r} wants {wanted}")
    table, column = str(entry["table"]), str(entry["column"])
    return Comparison(kind, table, column, rows, str(entry.get("lead", "")))


def _check(where: str, entry: Any, allowed: Sequence[str], required: Sequence[str]) -> None:
    if not isinstance(entry, dict):
        raise ValueError(f"{where}: a mapping is expected here, not {entry!r}")
    reject_unknown(entry, allowed, where)
    missing = [key for key in required if key not in entry]
    if missing:
        raise ValueError(f"{where}: lacks {missing}; add them")


def sentence(results: Results, answer: Comparison) -> str:
    """An answer in words, from the runs of `results`; says so where a row was not run.

    Raises ValueError for a table, row or column that the study does not have.
    """
    table = results.table(answer.table)
    cells = [table.cell(name, answer.column) for name in answer.rows]
    rows = [table.table.row(name) for name in answer.rows]
    lead = _lead(answer, rows)
    if not all(cell.values for cell in cells):
        missing = [row.title for row, cell in zip(rows, cells, strict=True) if not cell.values]
        which = "" if len(missing) == len(cells) else f": {', '.join(missing)}"
        return _sentence(lead, f"{NOT_RUN}{which}.")
    say = {"gap": _gap, "rank": _rank, "share": _share, "values": _values}[answer.kind]
    stale = " (stale)" if any(cell.state == "stale" for cell in cells) else ""
    return _sentence(lead, say([row.title for row in rows], cells)) + stale


def _sentence(lead: str, said: str) -> str:
    return lead + said if lead else said[0].upper() + said[1:]


def was_run(results: Results, answer: Comparison) -> bool:
    """Whether any row of an answer has a number."""
    table = results.table(answer.table)
    return any(table.cell(name, answer.column).values for name in answer.rows)


def _lead(answer: Comparison, rows: Sequence[Row]) -> str:
    """'<lead>; <group>: ', as far as there are any."""
    groups = ", ".join(dict.fromkeys(row.group for row in rows if row.group))
    words = "; ".join(filter(None, (answer.lead, groups)))
    return f"{words[0].upper()}{words[1:]}: " if words else ""


def _gap(titles: list[str], cells: list[Cell]) -> str:
    (low, high), (first, second) = cells, titles
    unit, digits = low.column.title, low.column.digits
    both = f"{high.number} and {low.number}"
    gap = gap_between(low, high)
    if gap is None:
        return f"“{second}” and “{first}” have {both} {unit}; {_few(cells)}, so no verdict."
    interval = f"{LEVEL:.0%} interval {' to '.join(gap.ends(digits))}, {gap.seeds} seeds"
    if gap.sign == 0:
        return (
            f"“{second}” and “{first}” cannot be told apart: {both} {unit}, a gap of "
            f"**{gap.mean:+.{digits}f}** ({interval})."
        )
    where = "above" if gap.sign > 0 else "below"
    return (
        f"“{second}” is **{abs(gap.mean):.{digits}f} points {where}** “{first}”: {both} {unit} "
        f"({interval})."
    )


def _rank(titles: list[str], cells: list[Cell]) -> str:
    """Best first, and which of the others seeds cannot tell from the best."""
    sign = 1 if cells[0].column.better == "higher" else -1
    order = sorted(range(len(cells)), key=lambda place: sign * cells[place].mean, reverse=True)
    best, *others = order
    named = [f"{titles[place]} {cells[place].number}" for place in order]
    start = f"**{named[0]}**; then {'; '.join(named[1:])} ({cells[0].column.title}, {_few(cells)})."
    gaps = [gap_between(cells[other], cells[best]) for other in others]
    if any(gap is None for gap in gaps):
        return f"{start} So few seeds allow no verdict on the order."
    pairs = zip(others, gaps, strict=True)
    alike = [f"“{titles[other]}”" for other, gap in pairs if gap is not None and gap.sign == 0]
    if not alike:
        return f"{start} The first is ahead of every other beyond noise."
    return f"{start} Not to be told apart from the first: {', '.join(alike)}."


def _share(titles: list[str], cells: list[Cell]) -> str:
    part, whole = cells
    share = f"{part.mean / whole.mean:.0%}" if whole.mean else "no share"
    both = f"{part.number} and {whole.number} {whole.column.title}"
    return f"“{titles[0]}” reaches **{share}** of “{titles[1]}” ({both})."


def _values(titles: list[str], cells: list[Cell]) -> str:
    shown = "; ".join(f"{t} **{c.number}**" for t, c in zip(titles, cells, strict=True))
    return f"{cells[0].column.title}: {shown} ({_few(cells)})."


def _few(cells: Sequence[Cell]) -> str:
    """The number of seeds; of the row that has fewest."""
    fewest = min(len(cell.values) for cell in cells)
    return f"{fewest} seed{'s' if fewest > 1 else ''}"
