"""A run that was started by a batch ends with it, even when the batch is killed outright.

Snakemake's children outlive it when it is killed. So a batch on this machine names itself in
the environment variable WSIS_BATCH, and each run looks once a second whether it still lives;
if not, the run stops as after Ctrl-C: it saves a checkpoint and leaves.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

VARIABLE = "WSIS_BATCH"
_GRACE_SECONDS = 60.0


def batch_mark(pid: int | None = None) -> str:
    """The value of WSIS_BATCH for a batch that is process `pid` (this one if None)."""
    pid = os.getpid() if pid is None else pid
    return f"{pid}:{_start_time(pid)}"


def stop_when_orphaned(every: float = 1.0) -> None:
    """SnapshotRecorder, in a thread of its own, the batch that WSIS_BATCH names, if any."""
    mark = os.environ.get(VARIABLE, "")
    if mark:
        threading.Thread(target=_watch, args=(mark, every), daemon=True).start()


def _watch(mark: str, every: float) -> None:
    pid = int(mark.partition(":")[0])
    while batch_mark(pid) == mark and _lives(pid):
        time.sleep(every)
    # SIGTERM may have been left ignored by whoever started us; SIGINT has Python's own handler.
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(_GRACE_SECONDS)
    os._exit(130)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _start_time(pid: int) -> str:
    """When a process started, so that another one with the same number is not taken for it."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return "" if _lives(pid) else "gone"
    # Fields after the command's closing bracket; state 'Z' is dead but not yet collected.
    fields = stat.rpartition(")")[2].split()
    return "gone" if fields[0] == "Z" else fields[19]
