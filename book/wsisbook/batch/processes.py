"""Processes that end together: a batch stops all that it started, and none outlives its batch.

Snakemake's children outlive it when it is killed. So a batch on this machine names itself in the
environment variable WSIS_BATCH, and each run looks once a second whether it still lives; if not,
the run stops as after Ctrl-C: it saves a checkpoint and leaves.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
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
    """Watch, in a thread of its own, the batch that WSIS_BATCH names, if any."""
    mark = os.environ.get(VARIABLE, "")
    if mark:
        threading.Thread(target=_watch, args=(mark, every), daemon=True).start()


def _watch(mark: str, every: float) -> None:
    pid = int(mark.partition(":")[0])
    while batch_mark(pid) == mark:
        time.sleep(every)
    # SIGTERM may have been left ignored by whoever started us; SIGINT has Python's own handler.
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(_GRACE_SECONDS)
    os._exit(130)


def _start_time(pid: int) -> str:
    """When a process started: another one may have the same number later; 'gone' if dead."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:  # it is dead, or this system has no /proc
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return "gone"
        except PermissionError:
            pass
        return ""
    # Fields after the command's closing bracket; state 'Z' is dead but not yet collected.
    fields = stat.rpartition(")")[2].split()
    return "gone" if fields[0] == "Z" else fields[19]


def stop_group(process: subprocess.Popen) -> None:
    """Stop the leader of a process group and the group: first so that runs save, then surely."""
    for number, patience in ((signal.SIGINT, 60.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        deadline = time.monotonic() + patience
        if process.poll() is None or _group_lives(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
        while time.monotonic() < deadline and (process.poll() is None or _group_lives(process.pid)):
            time.sleep(0.05)


def _group_lives(group: int) -> bool:
    """Whether a process of the group still runs; dead ones that nobody collected do not count."""
    import psutil  # type: ignore[import-untyped]  # comes with Snakemake

    for process in psutil.process_iter(["status"]):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(process.pid) == group and process.info["status"] != "zombie":
                return True
    return False
