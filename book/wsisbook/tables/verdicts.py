"""Claims of some tables with the verdicts of our runs, as a notebook shows them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from wsisbook.runs.declared import Study
from wsisbook.runs.store import RunStore
from wsisbook.tables.claims import Judged, Verdict, judge, judge_claims
from wsisbook.tables.tables import Cell


@dataclass(frozen=True)
class Verdicts:
    """Judged claims; for the end of a cell.

    A claim that is checked in several directions shows the verdict on each, under the name of
    the rows' group, so that a reader sees where it fails.

    Attributes:
        study: which the claims' tables belong to.
        claims: in the order of the papers' files.
        brief: show verdicts and statements only, without our numbers.
    """

    study: Study
    claims: tuple[Judged, ...]
    brief: bool = False

    def __iter__(self) -> Iterator[Judged]:
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
        return "\n\n".join(_text(self.study, one) for one in self.claims)

    def __repr__(self) -> str:
        return self._repr_markdown_()


def verdicts_on(study: Study, store: RunStore, scale: str, tables: Sequence[str]) -> Verdicts:
    """Every claim that one of `tables` answers, in the order of the papers' files.

    Raises:
        ValueError: an unknown table.
    """
    names = [study.table(name).name for name in tables]
    return Verdicts(study, tuple(judge_claims(study, store, scale, names)))


def _text(study: Study, judged: Judged) -> str:
    lines = [f"> {judged.claim.statement}", ""]
    parts = list(by_chain(judged))
    for verdict, cells in parts:
        lines.append(f"- {_numbers(study, judged, cells)}: **{verdict}**")
    if len(parts) > 1:
        lines += ["", f"All together: **{judged.verdict}**"]
    return "\n".join(lines)


def by_chain(judged: Judged) -> Iterator[tuple[Verdict, tuple[Cell, ...]]]:
    """The verdict on each chain of a claim, with its cells."""
    cells = iter(judged.cells)
    for chain in judged.claim.check.chains:
        own = tuple(itertools.islice(cells, len(chain)))
        yield judge(judged.claim.check, own), own


def _numbers(study: Study, judged: Judged, cells: Sequence[Cell]) -> str:
    """'<group>: <title> 10.4 ± 0.5 (3 seeds); <title> ...'."""
    rows = [study.table(judged.claim.check.table).row(cell.row) for cell in cells]
    shown = "; ".join(f"{row.title} {cell.text}" for row, cell in zip(rows, cells, strict=True))
    groups = ", ".join(dict.fromkeys(row.group for row in rows if row.group))
    return f"{groups}: {shown}" if groups else shown
