"""The folder of one run: locked for one process, and checked to be writable."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from wsislib.atomic import atomic_write
from wsislib.engine.errors import RunBusy

LOCK_NAME = "run.lock"


@contextmanager
def run_folder(folder: Path) -> Iterator[Path]:
    """Lock `folder` (made where missing) for this process; the lock ends with the process.

    Raises:
        OSError: the folder cannot be written; names it and the way out.
        RunBusy: another process has it.
    """
    _require_writable(folder)
    lock = FileLock(folder / LOCK_NAME)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RunBusy(folder) from None
    try:
        _remove_leftovers(folder)
        yield folder
    finally:
        lock.release()


def _require_writable(folder: Path) -> None:
    """Find out now, not after the first hour, that results cannot be kept."""
    probe = folder / ".writable"
    atomic_write(probe, "")
    with contextlib.suppress(OSError):
        probe.unlink()


def _remove_leftovers(folder: Path) -> None:
    """Delete temporary files of a killed predecessor; the lock says that no one writes them."""
    for place in (folder, folder / "checkpoints"):
        for leftover in place.glob(".*.tmp"):
            with contextlib.suppress(OSError):
                leftover.unlink()
