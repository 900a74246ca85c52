"""Seconds that a run took over all its attempts, killed ones included; and seconds as text."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wsislib.atomic import read_json, write_json


class Stopwatch:
    """Counts on from what earlier attempts noted in `file`."""

    def __init__(self, file: Path) -> None:
        earlier: dict[str, Any] = {}
        with contextlib.suppress(FileNotFoundError, ValueError):
            earlier = read_json(file)
        self.file = file
        self.attempts = int(earlier.get("attempts", 0)) + 1
        self._start = time.monotonic() - float(earlier.get("seconds", 0.0))

    @property
    def seconds(self) -> float:
        """Seconds of all attempts so far."""
        return time.monotonic() - self._start

    def save(self) -> None:
        """Note the seconds, so that an attempt that is killed now still counts."""
        with contextlib.suppress(OSError):
            write_json(self.file, {"attempts": self.attempts, "seconds": round(self.seconds, 1)})

    @contextlib.contextmanager
    def running(self, every: float = 5.0) -> Iterator[None]:
        """Save now and every few seconds, in a thread of its own, and at the end."""
        stop = threading.Event()

        def tick() -> None:
            while not stop.wait(every):
                self.save()

        self.save()
        thread = threading.Thread(target=tick, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            self.save()


def duration(seconds: float | None) -> str:
    """Seconds for a reader: '45 s', '12 min', '3.5 h', '41 days', 'unknown'."""
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 96 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:,.0f} days"
