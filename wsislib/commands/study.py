"""Commands of the study: run, reproduce, plan, status, tables, devices."""

from __future__ import annotations

from typing import Annotated

import tyro

from wsislib.cli import DONE

Positional = tyro.conf.Positional


def run(
    table: Positional[Annotated[str, tyro.conf.arg(metavar="TABLE")]],
    row: Positional[Annotated[str, tyro.conf.arg(metavar="ROW")]],
    /,
    seed: int = 0,
    scale: str = "lab",
    device: str = "auto",
    force: bool = False,
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
        progress: show progress bars.
    """
    from wsislib.study.run import execute
    from wsislib.study.watch import stop_when_orphaned

    stop_when_orphaned()
    done = execute(table, row, seed, scale, device=device, force=force, progress=progress)
    print(f"{done.outcome}: {done.key} ({done.folder})")
    return DONE


def devices() -> int:
    """List the devices of this machine; the first is the one that is taken by itself."""
    from wsislib.engine.device import available_devices, describe_device, pick_device

    for name in available_devices():
        print(describe_device(pick_device(name)))
    return DONE
