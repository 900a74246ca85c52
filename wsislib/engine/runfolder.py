"""The folder of one run: locked for one process, and checked to be writable."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from wsislib.atomic import atomic_write
from wsislib.engine.errors import RunBusy


@contextmanager
def run_folder(folder: Path) -> Iterator[Path]:
    """Lock `folder` (made where missing) for this process; the lock ends with the process.

    Raises:
        OSError: the folder cannot be written; names it and the way out.
        RunBusy: another process has it.
    """
    probe = folder / ".writable"  # finds out now, not after the first hour
    atomic_write(probe, "")
    _remove(probe)
    lock = FileLock(folder / "run.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RunBusy(folder) from None
    try:
        # A killed process may have left temporary files; by the lock no one writes them now.
        _remove(*folder.glob(".*.tmp"), *folder.glob("checkpoints/.*.tmp"))
        yield folder
    finally:
        lock.release()


def _remove(*paths: Path) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()
