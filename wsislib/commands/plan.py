"""Commands that look ahead: what runs would cost, and whether they would go through."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import Positional

from wsislib.cli import DONE

if TYPE_CHECKING:
    from wsislib.study.declared import RunKey


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
    from wsislib.study.dry_run import DryRunOptions, dry_runs
    from wsislib.study.resolve import keys_of, runs_of_row
    from wsislib.study.spec import load_study

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
