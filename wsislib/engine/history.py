"""A run's history.csv: one row each `log_every` steps.

Columns: step (how many steps were done), lr, each loss (unweighted), total (weighted sum),
gradient_norm (before clipping), images_per_second, seconds (of training since step 0, over all
starts). Losses, total and norm are means over the steps since the row before. A model that has
`statistics()` adds columns of its own, means over the steps in which it gave them.
"""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from wsislib.atomic import atomic_write

# What the clock says; everything else of a history is the same however often a run was killed.
TIMING_COLUMNS = ("images_per_second", "seconds")
_FIRST = ("step", "lr")
_LAST = ("total", "gradient_norm", *TIMING_COLUMNS)

Row = dict[str, float]


def write_history(path: Path, rows: list[Row]) -> None:
    """Write all rows, atomically."""
    names = {name for row in rows for name in row}
    losses = sorted(names.difference(_FIRST, _LAST))
    text = io.StringIO()
    writer = csv.DictWriter(text, [*_FIRST, *losses, *_LAST], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    atomic_write(path, text.getvalue())


def read_history(path: Path, upto: int | None = None) -> list[Row]:
    """The rows of `path` (none where it does not exist), those after step `upto` left out.

    A ValueError names the file and the line that is not a row of numbers.
    """
    if not path.exists():
        return []
    rows: list[Row] = []
    with open(path, encoding="utf-8", newline="") as file:
        for number, record in enumerate(csv.DictReader(file), start=2):
            try:
                row: Row = {name: float(value) for name, value in record.items() if value != ""}
                row["step"] = int(row["step"])
            except (TypeError, ValueError, KeyError) as error:
                raise ValueError(
                    f"{path}, line {number}: not a row of a training history; delete the run's "
                    "folder to train anew, or put the file back as it was"
                ) from error
            rows.append(row)
    return rows if upto is None else [row for row in rows if row["step"] <= upto]


def median_speed(rows: list[Row]) -> float:
    """Median images per second over rows; NaN where there is none."""
    speeds = [row["images_per_second"] for row in rows if "images_per_second" in row]
    return statistics.median(speeds) if speeds else float("nan")


@dataclass
class Window:
    """Sums since the last row; part of a checkpoint, so that a resumed row is the same row."""

    steps: int = 0  # that are summed
    sums: dict[str, float] = field(default_factory=dict)  # of each value
    counts: dict[str, int] = field(default_factory=dict)  # steps that gave it: losses may be absent
    seconds: float = 0.0  # that the steps took

    def add(self, values: Mapping[str, float], seconds: float) -> None:
        """Count one more step."""
        self.steps += 1
        self.seconds += seconds
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def speed(self, batch_size: int) -> float:
        """Images per second within this window."""
        return self.steps * batch_size / max(self.seconds, 1e-9)

    def row(self, step: int, lr: float, batch_size: int, total_seconds: float) -> Row:
        """The history row that closes this window."""
        means = {name: value / self.counts[name] for name, value in self.sums.items()}
        speed = self.speed(batch_size)
        timing = {"images_per_second": round(speed, 3), "seconds": round(total_seconds, 3)}
        return {"step": step, "lr": lr, **means, **timing}
