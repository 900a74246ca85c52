"""Progress of a batch, read from the store: done, running, failed, time left."""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from wsisbook.plan.plan import Plan
from wsisbook.runs.declared import RunKey, Study
from wsisbook.runs.stopwatch import duration
from wsisbook.runs.store import RunStore


@dataclass
class Reporter:
    """Prints one line whenever something changed; on a terminal the line renews itself."""

    study: Study
    store: RunStore
    _last: str = field(default="", init=False)

    def __call__(self, plan: Plan, started: float) -> None:
        """Show where the batch stands, `started` in seconds since the epoch."""
        states = {job.key: self._state(job.key, started) for job in plan.jobs}
        line = self._line(plan, states, time.time() - started)
        terminal = sys.stderr.isatty()
        # Away from a terminal the clock alone is no news.
        news = line if terminal else line.partition(";")[0]
        if news == self._last:
            return
        self._last = news
        print(f"\r\x1b[K{line}" if terminal else line, end="" if terminal else "\n",
              file=sys.stderr, flush=True)  # fmt: skip
        if terminal and all(state in ("done", "failed") for state in states.values()):
            print(file=sys.stderr)

    def _state(self, key: RunKey, started: float) -> str:
        """State of this batch's attempt: waiting until status.json is newer than the batch."""
        file = self.store.folder(key) / "status.json"
        try:
            if file.stat().st_mtime < started:
                return "waiting"
            return str(self.store.status(key).get("state", "waiting"))
        except (OSError, ValueError):
            return "waiting"

    def _line(self, plan: Plan, states: dict[RunKey, str], seconds: float) -> str:
        counts = Counter(states.values())
        running = [str(key) for key, state in states.items() if state == "running"]
        parts = [f"{counts['done']} of {len(states)} done", f"{len(running)} running"]
        if counts["failed"]:
            parts.append(f"{counts['failed']} failed")
        line = ", ".join(parts) + (f" ({', '.join(running[:3])})" if running else "")
        ended = counts["done"] + counts["failed"]
        left = len(states) - ended
        line += f"; {duration(seconds)} so far"
        if ended and left:
            line += f", about {duration(seconds / ended * left)} left"
        return line
