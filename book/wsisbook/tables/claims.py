"""The claims board: what the papers say, what our runs say, and the verdict.

A gap between two rows counts when it is larger than two pooled standard deviations,

    s = sqrt(((n1 - 1) s1^2 + (n2 - 1) s2^2) / (n1 + n2 - 2)),

with s1, s2 the sample standard deviations over n1, n2 seeds. With one seed each the spread is
unknown and no gap counts.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from wsisbook.runs.declared import Study
from wsisbook.runs.store import RunStore
from wsisbook.tables.published import Check, Claim, load_claims
from wsisbook.tables.tables import Cell, TableResult, build_table

Verdict = Literal["reproduced", "not reproduced", "within noise", "not run"]
FORMULA = (
    "s = sqrt(((n1 - 1) s1² + (n2 - 1) s2²) / (n1 + n2 - 2)), with s1 and s2 the sample standard "
    "deviations over n1 and n2 seeds"
)


@dataclass(frozen=True)
class Judged:
    """A claim with what our runs say.

    Attributes:
        claim: the claim.
        verdict: see `judge`; "not run" if a row of the check has no numbers.
        cells: our numbers, in the order of the claim's chains; empty if there is no such table.
        stale: whether a number is from older code or parameters.
        notebook: the page that shows them, relative to the book; "" if there is none yet.
    """

    claim: Claim
    verdict: Verdict
    cells: tuple[Cell, ...]
    stale: bool
    notebook: str

    @property
    def ours(self) -> str:
        """Our numbers in one line: 'agnostic-a 20.0 ± 0.3 (3 seeds) < ...'."""
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


def judge_claims(
    study: Study, store: RunStore, scale: str, tables: Iterable[str] | None = None
) -> list[Judged]:
    """Every claim of every paper, judged by the runs of one scale.

    Args:
        study: which tables there are.
        store: of the scale's runs.
        scale: whose runs.
        tables: only claims that these answer; all claims if None.

    Raises:
        ValueError: a claim names a row or column that its table does not have.
    """
    results: dict[str, TableResult] = {}
    judged = []
    wanted = None if tables is None else set(tables)
    for claim in load_claims(study.root / "papers"):
        name = claim.check.table
        if wanted is not None and name not in wanted:
            continue
        if name not in study.tables:
            judged.append(Judged(claim, "not run", (), False, ""))
            continue
        if name not in results:
            results[name] = build_table(study, store, name, scale)
        try:
            chains = [
                tuple(results[name].cell(row, claim.check.metric) for row in chain)
                for chain in claim.check.chains
            ]
        except ValueError as error:
            raise ValueError(f"papers/{claim.paper}/claims.yml: {claim.id!r}: {error}") from None
        cells = tuple(itertools.chain.from_iterable(chains))
        stale = any(cell.state == "stale" for cell in cells)
        notebook = study.tables[name].notebook
        verdict = worst(judge(claim.check, chain) for chain in chains)
        judged.append(Judged(claim, verdict, cells, stale, notebook))
    return judged


def judge(check: Check, cells: Sequence[Cell]) -> Verdict:
    """The verdict on one chain of a check; `cells` in its order.

    greater: every row above the one before it. greater_by: the last above the first by `by`.
    close: any two rows within `within` of each other. "reproduced" if every gap says so, "not
    reproduced" if one gap says the opposite by more than two pooled standard deviations,
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
    return worst(answers)


def worst(answers: Iterable[Verdict]) -> Verdict:
    """A claim is as good as the weakest of what it says."""
    return max(answers, key=("reproduced", "within noise", "not reproduced", "not run").index)


def pooled_std(first: Cell, second: Cell) -> float:
    """The pooled standard deviation s of the module's head; NaN with one seed each."""
    cells = [cell for cell in (first, second) if len(cell.values) > 1]
    if not cells:
        return math.nan
    freedom = sum(len(cell.values) - 1 for cell in cells)
    return math.sqrt(sum((len(c.values) - 1) * c.std**2 for c in cells) / freedom)


def counts(low: Cell, high: Cell) -> bool:
    """Whether `high` is above `low` by more than two pooled standard deviations."""
    return high.mean - low.mean > 2 * pooled_std(low, high)


def _above(low: Cell, high: Cell, by: float) -> Verdict:
    gap, noise = high.mean - low.mean, 2 * pooled_std(low, high)
    if math.isnan(noise):
        return "within noise"
    if gap > noise and gap >= by:
        return "reproduced"
    # Short of `by`, or turned around, by more than noise can explain.
    return "not reproduced" if gap < by - noise else "within noise"


def _close(first: Cell, second: Cell, within: float) -> Verdict:
    gap, noise = abs(first.mean - second.mean), 2 * pooled_std(first, second)
    if math.isnan(noise):
        return "within noise"
    if gap <= within:
        return "reproduced"
    return "not reproduced" if gap > within + noise else "within noise"
