"""Commands that look ahead: what runs would cost, and whether they would go through."""

from __future__ import annotations

import os
import signal
from json import dumps
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import Positional

from wsislib.cli import DONE

if TYPE_CHECKING:
    from wsisbook.runs.declared import RunKey


def plan(
    tables: Positional[tuple[Annotated[str, tyro.conf.arg(metavar="TABLE")], ...]] = (),
    /,
    scale: str = "lab",
    jobs: Annotated[int, tyro.conf.arg(aliases=["-j"])] = 1,
    gpus: int = 8,
    json: bool = False,
) -> int:
    """Say what the unfinished runs of some tables would cost: files, hours, GPU hours, disk.

    Args:
        tables: tables of book/study.yml; all if none is named.
        scale: smoke, lab or paper.
        jobs: how many runs at a time.
        gpus: how many GPUs would work together on a run; the authors had 8.
        json: print JSON for machines.
    """
    from wsisbook.plan.plan import data_needs, make_plan
    from wsisbook.runs.spec import load_study
    from wsisbook.runs.store import open_store

    for name, value in (("jobs", jobs), ("gpus", gpus)):
        if value < 1:
            raise ValueError(f"--{name} is {value}; it must be 1 or more")
    study = load_study()
    planned = make_plan(study, open_store(scale, study.root), scale, tables)
    files = data_needs(study, planned)
    if json:
        print(dumps(planned.record(files, gpus), indent=2))
        return DONE
    print(planned.text(jobs, gpus))
    for file in files:
        print(file.text())
    return DONE


def dry_run(
    table: Positional[Annotated[str, tyro.conf.arg(metavar="TABLE")]],
    row: Positional[Annotated[str, tyro.conf.arg(metavar="ROW")]] = "",
    /,
    scale: str = "paper",
    device: str = "auto",
    images: int = 1,
    steps: int = 1,
    side: int | None = None,
    progress: bool = True,
) -> int:
    """Try a row (every row of the table if none is named) for one step on a few made-up images.

    Builds the row's model at full size with its own settings, takes a step, saves, evaluates;
    first the same for runs that it needs. Reports time and memory. Downloads nothing and writes
    no result. Under torchrun its processes train as one.

    Args:
        table: a table of book/study.yml.
        row: a row of that table.
        scale: smoke, lab or paper.
        device: auto, cpu, cuda, cuda:1, mps.
        images: in a step, for each process.
        steps: how many steps.
        side: scale images to this short side instead of the published one, in pixels.
        progress: show progress bars.
    """
    from wsisbook.plan.dry_run import DryRunOptions, dry_runs
    from wsisbook.runs.resolve import keys_of, runs_of_row
    from wsisbook.runs.spec import load_study

    # So that what it wrote is removed, however it is asked to stop.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    study = load_study()
    options = DryRunOptions(images, steps, side, device)
    if row:
        keys = [next(runs_of_row(study, table, row, scale))]
    else:
        keys = _first_seeds(keys_of(study, scale, [table]))
    for done in dry_runs(study, keys, options, progress):
        if int(os.environ.get("RANK", "0")) == 0:
            print(done.text(), flush=True)
    return DONE


def _first_seeds(keys: list[RunKey]) -> list[RunKey]:
    """One run of each row: seeds do not differ in what they need."""
    return list({(key.table, key.row): key for key in reversed(keys)}.values())[::-1]
