"""One number of a table: mean and deviation over seeds, and differences seed by seed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from wsisbook.runs.declared import Column
from wsisbook.tables.published import PublishedValue

CellState = Literal["done", "stale", "not run", "absent"]


@dataclass(frozen=True)
class Cell:
    """One number of a table.

    It is "done" if every value stands, "stale" if the values come from older code or other
    parameters, "not run" if there are none, "absent" if the row's runs stand without such a number.
    """

    row: str
    column: Column
    values: tuple[float, ...]  # one a seed, in the order of `runs`; empty where nothing was run
    runs: tuple[str, ...]  # where the values come from, relative to the results folder
    wanted: int  # seeds that the study asks for
    state: CellState
    reasons: tuple[str, ...] = ()  # why it is stale or not run
    commits: tuple[str, ...] = ()
    published: PublishedValue | None = None  # the paper's number

    @property
    def mean(self) -> float:
        """Mean over seeds, NaN without any."""
        return statistics.fmean(self.values) if self.values else math.nan

    @property
    def std(self) -> float:
        """Sample standard deviation over seeds (n - 1), NaN for fewer than two."""
        return statistics.stdev(self.values) if len(self.values) > 1 else math.nan

    @property
    def number(self) -> str:
        """Mean and deviation alone: '12.3 ± 0.4', '12.3' with one seed, 'not run', '–'."""
        if not self.values:
            return "–" if self.state == "absent" else "not run"
        return mean_std(self.values, self.column.digits)

    @property
    def seeds_note(self) -> str:
        """Of how many seeds it is: '3 seeds', '1 of 3 seeds'; '' without any."""
        n = len(self.values)
        if not n:
            return ""
        seeds = f"{n}" if n == self.wanted else f"{n} of {self.wanted}"
        return seeds + (" seeds" if self.wanted > 1 else " seed")

    @property
    def text(self) -> str:
        """What a reader sees: '12.3 ± 0.4 (3 seeds)', 'not run', '... stale'."""
        return self.text_beside("")

    def text_beside(self, note: str) -> str:
        """`text`, without the number of seeds where `note`, such as a caption's, says it."""
        seeds = f" ({self.seeds_note})" if self.values and self.seeds_note != note else ""
        stale = " stale" if self.values and self.state == "stale" else ""
        return f"{self.number}{seeds}{stale}"

    @property
    def published_number(self) -> float:
        """The paper's number, NaN where it gives none."""
        return math.nan if self.published is None else self.published.value

    @property
    def by_seed(self) -> dict[int, float]:
        """Seed -> value."""
        seeds = (int(run.rsplit("seed-", 1)[1]) for run in self.runs)
        return dict(zip(seeds, self.values, strict=True))

    def paired_difference(self, low: Cell) -> list[float]:
        """This number minus that of `low` in every seed that both have, in the order of seeds."""
        ours, theirs = self.by_seed, low.by_seed
        return [ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]


def mean_std(values: Sequence[float], digits: int = 1, sign: str = "") -> str:
    """'12.3 ± 0.4', mean and sample standard deviation; no deviation for one value."""
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):{sign}.{digits}f}{spread}"


def difference_text(differences: Sequence[float]) -> str:
    """'+4.5 ± 0.3 (3 seeds)'; 'not run' without any."""
    if not differences:
        return "not run"
    n = len(differences)
    return f"{mean_std(differences, sign='+')} ({n} seed{'s' if n > 1 else ''})"


def has_metric(metrics: Any, path: str) -> bool:
    """Whether metrics.json has the dotted path, with a number or with null."""
    for name in path.split("."):
        if not isinstance(metrics, dict) or name not in metrics:
            return False
        metrics = metrics[name]
    return True


def metric_value(metrics: Any, path: str) -> float | None:
    """The number at a dotted path of metrics.json; None where there is none."""
    for name in path.split("."):
        metrics = metrics.get(name) if isinstance(metrics, dict) else None
    number = isinstance(metrics, (int, float)) and not isinstance(metrics, bool)
    return float(metrics) if number else None
