"""The papers' claims: what they say, what our runs say, and the verdict.

Gaps between rows are judged by `gaps.py`: seed by seed, with a 95 % interval, and not at all where
a row has fewer than three seeds. A claim whose rows stand as it says, but for a reason known not to
be the paper's, is no reproduction: `papers/*/claims.yml` declares the cause, and the verdict is
"same sign, other cause".

A claim may be checked on photographs too, by a table of the scale `photo`, and at the papers' own.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from wsisbook.runs.declared import Row, Study
from wsisbook.tables.cells import Cell
from wsisbook.tables.gaps import Gap, gap_between
from wsisbook.tables.published import Check, Claim, PublishedValue, load_claims
from wsisbook.tables.tables import Results

Verdict = Literal[
    "reproduced", "same sign, other cause", "within noise", "not reproduced", "too few seeds",
    "not run",
]  # fmt: skip
VERDICTS: tuple[Verdict, ...] = (  # from strong to weak
    "reproduced", "same sign, other cause", "within noise", "not reproduced", "too few seeds",
    "not run",
)  # fmt: skip
MEANINGS: dict[Verdict, str] = {
    "reproduced": "every gap that the claim needs counts, in every direction that it names",
    "same sign, other cause": (
        "the rows stand as the claim says, for a reason that is known not to be the paper's"
    ),
    "within noise": "no gap counts against the claim, and not every gap it needs counts for it",
    "not reproduced": "a gap counts against the claim",
    "too few seeds": "a row has one or two seeds, so nothing is judged",
    "not run": "a row has no run",
}
DIRECTIONS = {"voc-to-nonvoc": "VOC → others", "nonvoc-to-voc": "others → VOC", "": ""}
WORDS = {  # of published numbers that no row of the study answers to
    "AP-lost-at-least": "AP lost, at least",
    "relative-gain": "percent",
    "sam-decoder-at-inference": "SAM's decoder at inference",
    "transfer-over-class-agnostic": "gain of transfer over class-agnostic",
}


@dataclass(frozen=True)
class JudgedChain:
    """One chain of a check: its verdict, and our numbers from the lowest row to the highest."""

    verdict: Verdict
    cells: tuple[Cell, ...]
    titles: tuple[str, ...]  # of the rows
    group: str  # of the rows, such as the direction; "" if they have none
    gaps: tuple[Gap, ...]  # one for each step that the check looks at; empty if nothing is judged

    @property
    def shown_verdict(self) -> str:
        """The verdict; how many seeds there are where they are too few."""
        if self.verdict != "too few seeds":
            return self.verdict
        seeds = min(len(cell.values) for cell in self.cells)
        return f"no verdict ({seeds} seed{'s' if seeds > 1 else ''})"

    @property
    def numbers(self) -> str:
        """'<group>: <title> 10.4 ± 0.5; <title> 14.9 ± 0.3 (3 seeds)'."""
        notes = list(dict.fromkeys(cell.seeds_note for cell in self.cells if cell.values))
        common = notes[0] if len(notes) == 1 else ""
        shown = "; ".join(
            f"{title} {cell.text_beside(common)}"
            for title, cell in zip(self.titles, self.cells, strict=True)
        )
        start = f"{self.group}: " if self.group else ""
        return start + shown + (f" ({common})" if common else "")

    @property
    def gaps_text(self) -> str:
        """'+4.5 [+3.2, +5.8]', one a step; '' where nothing is judged."""
        digits = self.cells[0].column.digits
        return ", ".join(gap.text(digits) for gap in self.gaps)

    @property
    def short(self) -> str:
        """'10.4 → 14.9', the means in the claim's order; '' where a row has none."""
        if any(not cell.values for cell in self.cells):
            return ""
        return " → ".join(f"{cell.mean:.{cell.column.digits}f}" for cell in self.cells)


@dataclass(frozen=True)
class JudgedClaim:
    """A claim with what our runs say: the verdict on each of its chains, and our numbers."""

    claim: Claim
    chains: tuple[JudgedChain, ...]  # empty if there is no such table
    notebook: str  # the page that shows them, relative to the book; "" if there is none yet
    published: str  # the published numbers in one line, in the claim's order
    photo: JudgedClaim | None = None  # the same on photographs; None where no table answers it
    paper: JudgedClaim | None = None  # the same at the papers' scale; None where it was not asked

    @property
    def verdict(self) -> Verdict:
        """The weakest of its chains; "not run" if a row of the check has no numbers."""
        return weakest(chain.verdict for chain in self.chains) if self.chains else "not run"

    @property
    def shown_verdict(self) -> str:
        """The verdict; how many seeds there are where they are too few."""
        weak = [chain for chain in self.chains if chain.verdict == self.verdict]
        return weak[0].shown_verdict if weak else self.verdict

    @property
    def cause(self) -> str:
        """Why the rows stand as the claim says, where that is not the paper's reason; else ''."""
        return self.claim.check.other_cause if self.verdict == "same sign, other cause" else ""

    @property
    def cells(self) -> list[Cell]:
        """Our numbers, chain after chain."""
        return [cell for chain in self.chains for cell in chain.cells]

    @property
    def stale(self) -> bool:
        """Whether a number is from older code or parameters."""
        return any(cell.state == "stale" for cell in self.cells)

    @property
    def ours(self) -> str:
        """Our numbers in one line, chain after chain; '' if a row was not run."""
        if self.verdict == "not run":
            return ""
        return ". ".join(chain.numbers for chain in self.chains)


@dataclass(frozen=True)
class Verdicts:
    """Judged claims, in the order of the papers' files; for the end of a cell.

    A claim that is checked in several directions shows the verdict on each, under the name of
    the rows' group, so that a reader sees where it fails. `brief` leaves out our numbers.
    """

    claims: tuple[JudgedClaim, ...]
    brief: bool = False

    def __iter__(self) -> Iterator[JudgedClaim]:
        return iter(self.claims)

    def __len__(self) -> int:
        return len(self.claims)

    @property
    def still_open(self) -> Verdicts:
        """Those that our runs contradict or cannot tell from noise, or that have none; brief."""
        kept = tuple(one for one in self.claims if one.verdict != "reproduced")
        return replace(self, claims=kept, brief=True)

    def _repr_markdown_(self) -> str:
        if not self.claims:
            return "None: every claim is reproduced."
        if self.brief:
            return "\n".join(_brief(one) for one in self.claims)
        return "\n\n".join(_long(one) for one in self.claims)

    def __repr__(self) -> str:
        return self._repr_markdown_()


def _brief(judged: JudgedClaim) -> str:
    cause = f" {judged.cause}" if judged.cause else ""
    return f"- **{judged.shown_verdict}**: {judged.claim.statement}{cause}"


def _long(judged: JudgedClaim) -> str:
    lines = [f"> {judged.claim.statement}", ""]
    for chain in judged.chains:
        gap = f"; gap {chain.gaps_text}" if chain.gaps else ""
        lines.append(f"- {chain.numbers}{gap}: **{chain.shown_verdict}**")
    if len(judged.chains) > 1:
        lines += ["", f"All together: **{judged.shown_verdict}**"]
    if judged.cause:
        lines += ["", judged.cause]
    return "\n".join(lines)


def judge_claims(
    results: Results,
    tables: Iterable[str] | None = None,
    photo: Results | None = None,
    paper: Results | None = None,
    only: Collection[str] | None = None,
) -> Verdicts:
    """Every claim that one of `tables` answers (all claims if None), judged by the runs.

    `tables` may be those of photographs, with `results` at that scale. `photo` and `paper` are the
    results at these scales: where they are given, claims have what those say as well. `only` are
    ids of claims; the others are left out.

    Raises ValueError where a claim names a row or column that its table does not have.
    """
    judged = []
    wanted = None if tables is None else set(tables)
    for claim in load_claims(results.study.root / "papers"):
        if only is not None and claim.id not in only:
            continue
        if wanted is None or claim.check.table in wanted:
            one = _judge(results, claim, claim.check)
            if photo is not None and claim.photo is not None:
                one = replace(one, photo=_judge(photo, claim, claim.photo))
            if paper is not None:
                one = replace(one, paper=_judge(paper, claim, claim.check))
            judged.append(one)
        if wanted is not None and claim.photo is not None and claim.photo.table in wanted:
            judged.append(_judge(results, claim, claim.photo))
    return Verdicts(tuple(judged))


def _judge(results: Results, claim: Claim, check: Check) -> JudgedClaim:
    """`claim` by one of its checks, which then is the claim's `check`."""
    claim = replace(claim, check=check)
    published = published_text(results.study, claim)
    if check.table not in results.study.tables:
        return JudgedClaim(claim, (), "", published)
    table, chains = results.table(check.table), []
    for names in check.chains:
        try:
            cells = tuple(table.cell(name, check.metric) for name in names)
        except ValueError as error:
            where = f"papers/{claim.paper}/claims.yml"
            raise ValueError(f"{where}: {claim.id!r}: {error}") from None
        rows = [table.table.row(name) for name in names]
        groups = ", ".join(dict.fromkeys(row.group for row in rows if row.group))
        titles = tuple(row.title for row in rows)
        verdict, gaps = judge_chain(check, cells)
        chains.append(JudgedChain(verdict, cells, titles, groups, gaps))
    return JudgedClaim(claim, tuple(chains), table.table.notebook, published)


def judge_chain(check: Check, cells: Sequence[Cell]) -> tuple[Verdict, tuple[Gap, ...]]:
    """The verdict on one chain of a check, and the gaps it rests on; `cells` in its order.

    greater: every row above the one before it. greater_by: the last above the first by `by`, on
    average, and above it beyond noise; against the claim counts an interval that ends below `by`.
    close: the interval of any two rows lies within ± `within`; against the claim counts one that
    lies outside.
    """
    if any(not cell.values for cell in cells):
        return "not run", ()
    pairs: Iterable[tuple[Cell, Cell]] = itertools.pairwise(cells)
    if check.type == "greater_by":
        pairs = [(cells[0], cells[-1])]
    elif check.type == "close":
        pairs = itertools.combinations(cells, 2)
    found = [gap_between(low, high) for low, high in pairs]
    gaps = tuple(gap for gap in found if gap is not None)
    if len(gaps) < len(found):
        return "too few seeds", ()
    verdict = weakest(_answer(check, gap) for gap in gaps)
    if verdict == "reproduced" and check.other_cause:
        verdict = "same sign, other cause"
    return verdict, gaps


def _answer(check: Check, gap: Gap) -> Verdict:
    if check.type == "close":
        if max(abs(gap.low), abs(gap.high)) <= check.within:
            return "reproduced"
        outside = gap.low > check.within or gap.high < -check.within
        return "not reproduced" if outside else "within noise"
    if gap.sign > 0 and gap.mean >= check.by:
        return "reproduced"
    against = gap.high < check.by if check.type == "greater_by" else gap.sign < 0
    return "not reproduced" if against else "within noise"


def weakest(answers: Iterable[Verdict]) -> Verdict:
    """A claim is as good as the weakest of what it says."""
    return max(answers, key=VERDICTS.index)


def published_text(study: Study, claim: Claim) -> str:
    """The published numbers in one line: 'VOC → others: class-agnostic 19.2; Mask^X R-CNN 23.7'.

    Rows have the titles of the study's rows that answer to the same number, as far as there are
    any; directions stand one after the other.
    """
    tables = [study.tables[claim.check.table]] if claim.check.table in study.tables else []
    titles: dict[tuple[str, str, str], str] = {}
    for table in (*tables, *study.tables.values()):
        for row in table.rows.values():
            titles.setdefault(_published_place(row), row.title)
    parts: dict[str, list[str]] = {}
    for value in claim.published:
        title = titles.get((value.paper, value.table, value.row), WORDS.get(value.row, value.row))
        unit = "" if value.metric == "AP" else f" ({WORDS.get(value.metric, value.metric)})"
        number = f"{value.value:.1f}" if value.metric == "AP" else f"{value.value:g}"
        parts.setdefault(_direction(value), []).append(f"{title} {number}{unit}")
    lines = (f"{name}: " * bool(name) + "; ".join(shown) for name, shown in parts.items())
    return ". ".join(lines)


def _published_place(row: Row) -> tuple[str, str, str]:
    of = row.published
    return of.get("paper", ""), of.get("table", ""), of.get("row", "")


def _direction(value: PublishedValue) -> str:
    deep = f" ({value.backbone})" if value.backbone == "R-101-FPN" else ""
    return DIRECTIONS.get(value.direction, value.direction) + deep
