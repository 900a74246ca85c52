"""Progress of a batch, read from the store: done, running, failed, time left."""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from wsisbook.plan.plan import Plan
from wsisbook.runs.declared import RunKey
from wsisbook.runs.stopwatch import duration
from wsisbook.runs.store import RunStore


@dataclass
class Reporter:
    """Prints one line whenever something changed; on a terminal the line renews itself."""

    store: RunStore
    _last: str = field(default="", init=False)

    def __call__(self, plan: Plan, started: float) -> None:
        """Show where the batch stands, `started` in seconds since the epoch."""
        states = {job.key: self._state(job.key, started) for job in plan.jobs}
        counts = Counter(states.values())
        running = [str(key) for key, state in states.items() if state == "running"]
        news = f"{counts['done']} of {len(states)} done, {len(running)} running"
        news += f", {counts['failed']} failed" if counts["failed"] else ""
        news += f" ({', '.join(running[:3])})" if running else ""
        seconds, ended = time.time() - started, counts["done"] + counts["failed"]
        left = len(states) - ended
        clock = f"; {duration(seconds)} so far"
        clock += f", about {duration(seconds / ended * left)} left" if ended and left else ""
        terminal = sys.stderr.isatty()
        # Away from a terminal the clock alone is no news.
        shown = news + clock if terminal else news
        if shown == self._last:
            return
        self._last = shown
        if terminal:
            print(f"\r\x1b[K{news}{clock}", end="" if left else "\n", file=sys.stderr, flush=True)
        else:
            print(f"{news}{clock}", file=sys.stderr, flush=True)

    def _state(self, key: RunKey, started: float) -> str:
        """State of this batch's attempt: waiting until status.json is newer than the batch."""
        try:
            if (self.store.folder(key) / "status.json").stat().st_mtime < started:
                return "waiting"
        except OSError:
            return "waiting"
        return str(self.store.status(key).get("state", "waiting"))
