"""The papers' claims: what they say, what our runs say, and the verdict.

A difference between two rows counts when it is larger than two pooled standard deviations,

    s = sqrt(((n1 - 1) s1^2 + (n2 - 1) s2^2) / (n1 + n2 - 2)),

with s1, s2 the sample standard deviations over n1, n2 seeds. With one seed each the deviation is
unknown and no difference counts.

A claim may be checked on photographs too, by a table of the scale `photo`. There a row needs
three seeds for a verdict; with fewer, their number stands in its place.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from wsisbook.runs.declared import Study
from wsisbook.tables.cells import Cell
from wsisbook.tables.published import Check, Claim, load_claims
from wsisbook.tables.tables import Results

Verdict = Literal["reproduced", "within noise", "not reproduced", "not run"]
PHOTO_SEEDS = 3  # of every row, for a verdict on photographs
VERDICTS: tuple[Verdict, ...] = ("reproduced", "within noise", "not reproduced", "not run")
FORMULA = (
    "s = sqrt(((n1 - 1) s1² + (n2 - 1) s2²) / (n1 + n2 - 2)), with s1 and s2 the sample standard "
    "deviations over n1 and n2 seeds"
)


@dataclass(frozen=True)
class JudgedClaim:
    """A claim with what our runs say: the verdict on each of its chains, and our numbers."""

    claim: Claim
    chains: tuple[tuple[Verdict, tuple[Cell, ...]], ...]  # empty if there is no such table
    notebook: str  # the page that shows them, relative to the book; "" if there is none yet
    least_seeds: int = 1  # of every row, for a verdict
    photo: JudgedClaim | None = None  # the same on photographs; None where no table answers it

    @property
    def verdict(self) -> Verdict:
        """The weakest of its chains; "not run" if a row of the check has no numbers."""
        return weakest(verdict for verdict, _ in self.chains) if self.chains else "not run"

    @property
    def shown_verdict(self) -> str:
        """The verdict, or "2 seeds" where a row has fewer than `least_seeds`."""
        return self._shown(self.verdict, self.cells)

    @property
    def shown_chains(self) -> tuple[tuple[str, tuple[Cell, ...]], ...]:
        """`chains` with the verdict on each as `shown_verdict` has it."""
        return tuple((self._shown(verdict, cells), cells) for verdict, cells in self.chains)

    def _shown(self, verdict: Verdict, cells: Sequence[Cell]) -> str:
        seeds = min((len(cell.values) for cell in cells), default=0)
        if verdict == "not run" or seeds >= self.least_seeds:
            return verdict
        return f"{seeds} seed{'s' if seeds > 1 else ''}"

    @property
    def cells(self) -> list[Cell]:
        """Our numbers, chain after chain."""
        return [cell for _, cells in self.chains for cell in cells]

    @property
    def stale(self) -> bool:
        """Whether a number is from older code or parameters."""
        return any(cell.state == "stale" for cell in self.cells)

    @property
    def ours(self) -> str:
        """Our numbers in one line: 'agnostic-a: 20.0 ± 0.3 (3 seeds), ...'."""
        if self.verdict == "not run":
            return ""
        return ", ".join(f"{cell.row}: {cell.text}" for cell in self.cells)

    @property
    def published(self) -> str:
        """The published numbers in one line, in the claim's order."""
        return ", ".join(
            " ".join(filter(None, (v.row, v.direction, v.metric, f"{v.value:g}")))
            for v in self.claim.published
        )


@dataclass(frozen=True)
class Verdicts:
    """Judged claims, in the order of the papers' files; for the end of a cell.

    A claim that is checked in several directions shows the verdict on each, under the name of
    the rows' group, so that a reader sees where it fails. `brief` leaves out our numbers.
    """

    study: Study
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
            return "\n".join(f"- **{one.verdict}**: {one.claim.statement}" for one in self.claims)
        return "\n\n".join(self._text(one) for one in self.claims)

    def __repr__(self) -> str:
        return self._repr_markdown_()

    def _text(self, judged: JudgedClaim) -> str:
        lines = [f"> {judged.claim.statement}", ""]
        for verdict, cells in judged.shown_chains:
            lines.append(f"- {self._numbers(judged.claim.check, cells)}: **{verdict}**")
        if len(judged.chains) > 1:
            lines += ["", f"All together: **{judged.shown_verdict}**"]
        return "\n".join(lines)

    def _numbers(self, check: Check, cells: Sequence[Cell]) -> str:
        """'<group>: <title> 10.4 ± 0.5 (3 seeds); <title> ...'."""
        rows = [self.study.table(check.table).row(cell.row) for cell in cells]
        shown = "; ".join(f"{row.title} {cell.text}" for row, cell in zip(rows, cells, strict=True))
        groups = ", ".join(dict.fromkeys(row.group for row in rows if row.group))
        return f"{groups}: {shown}" if groups else shown


def judge_claims(
    results: Results, tables: Iterable[str] | None = None, photo: Results | None = None
) -> Verdicts:
    """Every claim that one of `tables` answers (all claims if None), judged by the runs.

    `tables` may be those of photographs, with `results` at that scale. `photo` are the results at
    the scale `photo`: where it is given, claims have what it says as well.

    Raises ValueError where a claim names a row or column that its table does not have.
    """
    judged = []
    wanted = None if tables is None else set(tables)
    for claim in load_claims(results.study.root / "papers"):
        if wanted is None or claim.check.table in wanted:
            one = _judge(results, claim, claim.check)
            if photo is not None and claim.photo is not None:
                one = replace(one, photo=_judge(photo, claim, claim.photo, PHOTO_SEEDS))
            judged.append(one)
        if wanted is not None and claim.photo is not None and claim.photo.table in wanted:
            judged.append(_judge(results, claim, claim.photo, PHOTO_SEEDS))
    return Verdicts(results.study, tuple(judged))


def _judge(results: Results, claim: Claim, check: Check, least_seeds: int = 1) -> JudgedClaim:
    """`claim` by one of its checks, which then is the claim's `check`."""
    claim = replace(claim, check=check)
    if check.table not in results.study.tables:
        return JudgedClaim(claim, (), "", least_seeds)
    table, chains = results.table(check.table), []
    for rows in check.chains:
        try:
            cells = tuple(table.cell(row, check.metric) for row in rows)
        except ValueError as error:
            where = f"papers/{claim.paper}/claims.yml"
            raise ValueError(f"{where}: {claim.id!r}: {error}") from None
        chains.append((judge_chain(check, cells), cells))
    return JudgedClaim(claim, tuple(chains), table.table.notebook, least_seeds)


def judge_chain(check: Check, cells: Sequence[Cell]) -> Verdict:
    """The verdict on one chain of a check; `cells` in its order.

    greater: every row above the one before it. greater_by: the last above the first by `by`.
    close: any two rows within `within` of each other. "reproduced" if every difference says so,
    "not reproduced" if one says the opposite by more than two pooled standard deviations,
    "within noise" otherwise.
    """
    if any(not cell.values for cell in cells):
        return "not run"
    if check.type == "greater":
        answers = [_above(low, high, 0.0) for low, high in itertools.pairwise(cells)]
    elif check.type == "greater_by":
        answers = [_above(cells[0], cells[-1], check.by)]
    else:
        answers = [_close(a, b, check.within) for a, b in itertools.combinations(cells, 2)]
    return weakest(answers)


def weakest(answers: Iterable[Verdict]) -> Verdict:
    """A claim is as good as the weakest of what it says."""
    return max(answers, key=VERDICTS.index)


def pooled_std(first: Cell, second: Cell) -> float:
    """The pooled standard deviation s of the module's head; NaN with one seed each."""
    cells = [cell for cell in (first, second) if len(cell.values) > 1]
    if not cells:
        return math.nan
    freedom = sum(len(cell.values) - 1 for cell in cells)
    return math.sqrt(sum((len(c.values) - 1) * c.std**2 for c in cells) / freedom)


def _above(low: Cell, high: Cell, by: float) -> Verdict:
    # Comparisons with an unknown noise are false: nothing counts.
    difference, noise = high.mean - low.mean, 2 * pooled_std(low, high)
    if difference > noise and difference >= by:
        return "reproduced"
    # Short of `by`, or turned around, by more than noise can explain.
    return "not reproduced" if difference < by - noise else "within noise"


def _close(first: Cell, second: Cell, within: float) -> Verdict:
    difference, noise = abs(first.mean - second.mean), 2 * pooled_std(first, second)
    if math.isnan(noise):
        return "within noise"
    if difference <= within:
        return "reproduced"
    return "not reproduced" if difference > within + noise else "within noise"
