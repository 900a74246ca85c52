"""Commands of the study: run, reproduce, plan, status, tables, devices."""

from __future__ import annotations

import shlex
import signal
import sys
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import Positional

from wsisbook.batch.processes import stop_when_orphaned
from wsisbook.runs.paths import build_folder
from wsisbook.runs.run import execute
from wsisbook.runs.spec import load_study
from wsisbook.runs.status import status_frame, status_text
from wsisbook.runs.store import open_store
from wsisbook.tables.tables import Results, table_names, write_tables
from wsislib.cli import BUSY, DONE, FAILED

if TYPE_CHECKING:
    from wsisbook.batch.batch import Batch


def run(
    table: Positional[Annotated[str, tyro.conf.arg(metavar="TABLE")]],
    row: Positional[Annotated[str, tyro.conf.arg(metavar="ROW")]],
    /,
    seed: int = 0,
    scale: str = "lab",
    device: str = "auto",
    force: bool = False,
    weights: bool = False,
    wait: float = 2.0,
    progress: bool = True,
) -> int:
    """Do one run, and first the runs that it needs.

    Does nothing where it is done already; goes on where it was stopped.

    Args:
        table: a table of book/study.yml.
        row: a row of that table.
        seed: the seed of the run.
        scale: smoke, lab or paper.
        device: auto, cpu, cuda, cuda:1, mps.
        force: do it again even if it is done.
        weights: do it again too where it is done but its weights are not here.
        wait: seconds to wait where another process is doing the run; negative: for ever.
        progress: show progress bars.
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
    tables: Positional[tuple[Annotated[str, tyro.conf.arg(metavar="TABLE")], ...]] = (),
    /,
    scale: str = "lab",
    jobs: Annotated[int, tyro.conf.arg(aliases=["-j"])] = 1,
    yes: bool = False,
    force: bool = False,
    device: str = "auto",
    executor: str = "",
    extra: str = "",
) -> int:
    """Do all unfinished runs of some tables (of all if none is named), then write the tables.

    Says first what it will cost. May be stopped and started again at any time.

    Args:
        tables: tables of book/study.yml.
        scale: smoke, lab or paper.
        jobs: how many runs at a time.
        yes: do not ask.
        force: do finished runs again too.
        device: auto, cpu, cuda, cuda:1, mps.
        executor: a Snakemake executor plugin, such as slurm; empty for this machine.
        extra: further arguments for Snakemake, as one text.
    """
    # These load torch, which the other commands can do without.
    from wsisbook.batch.batch import run_batch
    from wsisbook.batch.progress import Reporter
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
            report=Reporter(store),
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


def status(
    tables: Positional[tuple[Annotated[str, tyro.conf.arg(metavar="TABLE")], ...]] = (),
    /,
    scale: str = "lab",
    json: bool = False,
) -> int:
    """Show every run of some tables: done, running, missing, stale (why), failed (why).

    Args:
        tables: tables of book/study.yml; all if none is named.
        scale: smoke, lab or paper.
        json: print JSON for machines.
    """
    study = load_study()
    frame = status_frame(study, open_store(scale, study.root), scale, tables)
    print(frame.to_json(orient="records", indent=2) if json else status_text(frame))
    return DONE


def tables(
    names: Positional[tuple[Annotated[str, tyro.conf.arg(metavar="TABLE")], ...]] = (),
    /,
    scale: str = "lab",
) -> int:
    """Write results/tables/*.csv from the runs, and show the tables.

    Args:
        names: tables of book/study.yml; all if none is named.
        scale: smoke, lab or paper.
    """
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
