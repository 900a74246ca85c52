"""Commands of the study: run, reproduce, plan, dry-run, status, tables, devices."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from json import dumps
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from wsisbook.batch.processes import stop_when_orphaned
from wsisbook.runs.paths import build_folder
from wsisbook.runs.resolve import keys_of, runs_of_row
from wsisbook.runs.run import execute
from wsisbook.runs.spec import load_study
from wsisbook.runs.state import status_frame, status_text
from wsisbook.runs.store import open_store
from wsisbook.tables.tables import Results, table_names, write_tables
from wsislib.cli import BUSY, DONE, FAILED

if TYPE_CHECKING:
    from wsisbook.batch.batch import Batch

# ruff: noqa: D417
# Arguments that several commands have are described here, once.
Table = Positional[Annotated[str, arg(metavar="TABLE", help="a table of book/study.yml.")]]
Row = Positional[Annotated[str, arg(metavar="ROW", help="a row of that table.")]]
_ALL = arg(metavar="[TABLE ...]", help="tables of book/study.yml; all if none is named.")
Tables = Positional[Annotated[tuple[str, ...], _ALL]]
Scale = Annotated[str, arg(help="smoke, lab, photo or paper.")]
Device = Annotated[str, arg(help="auto, cpu, cuda, cuda:1, mps.")]
Jobs = Annotated[int, arg(aliases=["-j"], help="how many runs at a time.")]
Json = Annotated[bool, arg(help="print JSON for machines.")]
Progress = Annotated[bool, arg(help="show progress bars.")]


def run(
    table: Table,
    row: Row,
    /,
    seed: int = 0,
    scale: Scale = "lab",
    device: Device = "auto",
    force: bool = False,
    weights: bool = False,
    wait: float = 2.0,
    progress: Progress = True,
) -> int:
    """Do one run, and first the runs that it needs.

    Does nothing where it is done already; goes on where it was stopped.

    Args:
        seed: the seed of the run.
        force: do it again even if it is done.
        weights: do it again too where it is done but its weights are not here.
        wait: seconds to wait where another process is doing the run; negative: for ever.
    """
    _interrupt_when_asked_to_stop()
    stop_when_orphaned()
    done = execute(
        table, row, seed, scale,
        device=device, force=force, keep_weights=weights, wait=wait, progress=progress,
    )  # fmt: skip
    print(f"{done.outcome}: {done.key} ({done.folder})")
    return DONE


def _interrupt_when_asked_to_stop() -> None:
    """Raise KeyboardInterrupt on SIGTERM too, so that runs save and note that they were stopped."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt("asked to stop; start it again to go on")

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def reproduce(
    tables: Tables = (),
    /,
    scale: Scale = "lab",
    jobs: Jobs = 1,
    yes: bool = False,
    force: bool = False,
    device: Device = "auto",
    executor: str = "",
    extra: str = "",
) -> int:
    """Do all unfinished runs of some tables (of all if none is named), then write the tables.

    Says first what it will cost. May be stopped and started again at any time.

    Args:
        yes: do not ask.
        force: do finished runs again too.
        executor: a Snakemake executor plugin, such as slurm; empty for this machine.
        extra: further arguments for Snakemake, as one text.
    """
    # These load torch, which the other commands can do without.
    from wsisbook.batch.batch import run_batch
    from wsisbook.plan.plan import make_plan

    _interrupt_when_asked_to_stop()
    if jobs < 1:
        raise ValueError(f"--jobs is {jobs}; it must be 1 or more")
    study = load_study()
    store = open_store(scale, study.root)
    plan = make_plan(study, store, scale, tables, force)
    print(plan.text(jobs), flush=True)
    if plan.jobs and not (yes or _agrees()):
        return FAILED
    code = DONE
    if plan.jobs:
        batch = run_batch(
            study, store, plan, build_folder(study.root) / "batch" / scale,
            workers=jobs, executor=executor, extra=shlex.split(extra), device=device, force=force,
        )  # fmt: skip
        code = _tell(batch)
    for file in write_tables(Results(study, store, scale), tables):
        print(f"wrote {file}")
    return code


def _agrees() -> bool:
    """Whether the user says yes; no where there is nobody to ask."""
    if not sys.stdin.isatty():
        print("not started: say --yes to start without being asked", file=sys.stderr)
        return False
    return input("start? [y/N] ").strip().lower() in ("y", "yes")


def _tell(batch: Batch) -> int:
    """Print what came of a batch; its exit code."""
    print(f"{len(batch.done)} run(s) done, {len(batch.failed)} failed; logs in {batch.folder}")
    for key, reason in batch.failed.items():
        print(f"failed: {key}: {reason}", file=sys.stderr)
    for key in batch.elsewhere:
        print(f"another process is doing {key}", file=sys.stderr)
    for key in batch.waiting:
        print(f"not started: {key} (a run that it needs did not end)", file=sys.stderr)
    if batch.failed or batch.waiting:
        return FAILED
    return BUSY if batch.elsewhere else DONE


def plan(
    tables: Tables = (), /, scale: Scale = "lab", jobs: Jobs = 1, gpus: int = 8, json: Json = False
) -> int:
    """Say what the unfinished runs of some tables would cost: files, hours, GPU hours, disk.

    Args:
        gpus: how many GPUs would work together on a run; the authors had 8.
    """
    from wsisbook.plan.plan import data_needs, make_plan

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
    table: Table,
    row: Row = "",
    /,
    scale: Scale = "paper",
    device: Device = "auto",
    images: int = 1,
    steps: int = 1,
    side: int | None = None,
    progress: Progress = True,
) -> int:
    """Try a row (every row of the table if none is named) for one step on a few made-up images.

    Builds the row's model at full size with its own settings, takes a step, saves, evaluates;
    first the same for runs that it needs. Reports time and memory. Downloads nothing and writes
    no result. Under torchrun its processes train as one.

    Args:
        images: in a step, for each process.
        steps: how many steps.
        side: scale images to this short side instead of the published one, in pixels.
    """
    from wsisbook.plan.dry_run import DryRunOptions, dry_runs

    # So that what it wrote is removed, however it is asked to stop.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    study = load_study()
    options = DryRunOptions(images, steps, side, device)
    if row:
        keys = [next(runs_of_row(study, table, row, scale))]
    else:
        keys = keys_of(study, scale, [table])
        # One run of each row: seeds do not differ in what they need.
        keys = list({(key.table, key.row): key for key in reversed(keys)}.values())[::-1]
    for done in dry_runs(study, keys, options, progress):
        if int(os.environ.get("RANK", "0")) == 0:
            print(done.text(), flush=True)
    return DONE


def status(tables: Tables = (), /, scale: Scale = "lab", json: Json = False) -> int:
    """Show every run of some tables: done, running, missing, stale (why), failed (why)."""
    study = load_study()
    frame = status_frame(study, open_store(scale, study.root), scale, tables)
    print(frame.to_json(orient="records", indent=2) if json else status_text(frame))
    return DONE


def tables(names: Tables = (), /, scale: Scale = "lab") -> int:
    """Write results/tables/*.csv from the runs, and show the tables."""
    study = load_study()
    results = Results(study, open_store(scale, study.root), scale)
    for name in table_names(study, scale, names):
        print(results.table(name), end="\n\n")
        for problem in results.unknown_metrics(name):
            print(problem, file=sys.stderr)
    for file in write_tables(results, names):
        print(f"wrote {file}")
    return DONE


def devices() -> int:
    """List the devices of this machine; the first is the one that is taken by itself."""
    from wsislib.engine.device import available_devices, describe_device, pick_device

    for name in available_devices():
        print(describe_device(pick_device(name)))
    return DONE
