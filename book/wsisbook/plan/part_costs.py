"""What each part of the book costs: the work that was done for it, and the work that is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsisbook.plan.plan import Plan, make_plan
from wsisbook.runs.declared import RunKey
from wsisbook.runs.stopwatch import duration

if TYPE_CHECKING:
    import pandas as pd

    from wsisbook.runs.declared import Study
    from wsisbook.runs.store import RunStore

ELSEWHERE = "in no chapter"


@dataclass
class PartCost:
    """The runs of one folder of chapters; a run that a chapter of another part shows is not its.

    Attributes:
        runs: how many it has, and `done` how many of them stand.
        done_seconds: of those that stand, on the machines that did them, one after the other.
        left_seconds: of the others as far as their cost is known; `unknown` is how many it
            leaves out.
    """

    runs: int = 0
    done: int = 0
    done_seconds: float = 0.0
    left_seconds: float = 0.0
    unknown: int = 0


def part_of(study: Study, table: str) -> str:
    """The folder of the chapter that shows a table."""
    notebook = study.table(table).notebook
    return notebook.rpartition("/")[0] if notebook else ELSEWHERE


def part_costs(
    study: Study, store: RunStore, scale: str, runs: pd.DataFrame
) -> dict[str, PartCost]:
    """Part -> what it costs, in the order of the book.

    Args:
        study: the study.
        store: whose runs.
        scale: the store's scale.
        runs: what `status_frame` says of them.
    """
    costs = {job.key: job.cost.seconds for job in make_plan(study, store, scale).jobs}
    found: dict[str, PartCost] = {}
    for line in runs.to_dict("records"):
        part = found.setdefault(part_of(study, line["table"]), PartCost())
        part.runs += 1
        if line["state"] == "done":
            part.done += 1
            part.done_seconds += line["seconds"]
            continue
        left = costs.get(RunKey(scale, line["table"], line["row"], line["seed"]))
        part.left_seconds += left or 0.0
        part.unknown += left is None
    return found


def part_rows(parts: dict[str, PartCost]) -> list[tuple[str, str, str, str, str]]:
    """Part, runs, done, time of those done, time of the rest, for a reader."""
    return [
        (name, str(cost.runs), str(cost.done), duration(cost.done_seconds), _left(cost))
        for name, cost in parts.items()
    ]


def gpu_hours(study: Study, plan: Plan) -> dict[str, tuple[int, float]]:
    """Part -> runs whose steps were measured, and their hours of one GPU."""
    found: dict[str, tuple[int, float]] = {}
    for job in plan.jobs:
        if job.work is not None and job.work.gpu_seconds is not None:
            part = part_of(study, job.key.table)
            count, hours = found.get(part, (0, 0.0))
            found[part] = (count + 1, hours + job.work.gpu_seconds / 3600)
    return found


def _left(cost: PartCost) -> str:
    known = duration(cost.left_seconds) if cost.runs > cost.done + cost.unknown else ""
    unknown = f"{cost.unknown} of unknown cost" if cost.unknown else ""
    return ", ".join(filter(None, (known, unknown))) or "–"
