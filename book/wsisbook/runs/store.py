"""The store of runs: one folder a run, files that are whole or absent, one writer at a time.

`runs/<table>/<row>/seed-<n>/` holds params.json (what defined the run), metrics.json,
environment.json (where each number comes from), history.csv, examples.json and status.json.
status.json is written last; it names the digest of every other file, so a reader knows whether
the numbers are those that the run gave. A re-run that fails leaves the files of the good run
before it in place.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from wsisbook.runs.declared import RunKey
from wsisbook.runs.paths import results_root
from wsislib.atomic import read_json, write_json
from wsislib.cli import BUSY

# Long enough to outlast another process's look at whether the lock is held (`is_locked`).
LOCK_SECONDS = 2.0


class RunBusyError(RuntimeError):
    """Another process is doing this run."""

    exit_code = BUSY


@dataclass(frozen=True)
class RunStore:
    """All runs and tables of one scale, under `root`."""

    root: Path

    def folder(self, key: RunKey) -> Path:
        """The folder of one run."""
        return self.root / "runs" / key.table / key.row / f"seed-{key.seed}"

    def table_file(self, table: str) -> Path:
        """The CSV of one table."""
        return self.root / "tables" / f"{table}.csv"

    def read(self, key: RunKey, name: str) -> Any:
        """A JSON file of a run, None where it is not there; a ValueError where it is corrupt."""
        try:
            return read_json(self.folder(key) / name)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def status(self, key: RunKey) -> dict[str, Any]:
        """What status.json holds: empty before the first start, state "damaged" if corrupt."""
        try:
            return self.read(key, "status.json") or {}
        except ValueError as error:
            return {"state": "damaged", "error": str(error)}

    def result(self, key: RunKey) -> dict[str, Any]:
        """Digests of the `files` and `weights` of the last good result; empty without one."""
        return self.status(key).get("result") or {}

    def write_status(self, key: RunKey, state: str, **facts: Any) -> None:
        """Write status.json; what is known of the last good result stays."""
        status = {"state": state, "date": now(), **facts}
        status.setdefault("result", self.status(key).get("result"))
        write_json(self.folder(key) / "status.json", status)

    def damage(self, key: RunKey, result: Mapping[str, Any]) -> list[str]:
        """What is wrong with the files of a result: 'metrics.json is missing' and the like."""
        problems = []
        for name, recorded in result["files"].items():
            file = self.folder(key) / name
            if not file.is_file():
                problems.append(f"{name} is missing")
            elif file_digest(file) != recorded:
                problems.append(f"{name} is not the file that the run wrote")
        return problems

    def weights(self, key: RunKey) -> dict[str, Path] | None:
        """Name -> weights file of a finished run; None where one is missing or damaged.

        git does not hold weights: after a clone, a run that needs them makes them anew.
        """
        recorded = self.result(key).get("weights", {})
        files = {name: self.folder(key) / "checkpoints" / name for name in recorded}
        whole = all(f.is_file() and file_digest(f) == recorded[name] for name, f in files.items())
        return files if whole else None

    @contextlib.contextmanager
    def lock(self, key: RunKey, wait: float = LOCK_SECONDS) -> Iterator[None]:
        """Hold the run's folder, as the only process; `wait` in seconds, negative: for ever.

        A RunBusyError says that another process holds it, an OSError that it cannot be written.
        """
        folder = self.folder(key)
        lock = FileLock(folder / "run.lock")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=wait)
        except Timeout:
            busy = f"another process is doing the run {key}; wait for it, or see `wsis status`"
            raise RunBusyError(busy) from None
        except OSError as error:
            why = f"{folder}: cannot write to the results folder ({error.strerror or error})"
            raise OSError(f"{why}; make it writable, or name another in WSIS_RESULTS") from error
        try:
            yield
        finally:
            lock.release()

    def is_locked(self, key: RunKey) -> bool:
        """Whether a process holds the run's folder now."""
        file = self.folder(key) / "run.lock"
        if not os.access(file, os.W_OK):
            return False
        try:
            with FileLock(file).acquire(timeout=0):
                return False
        except Timeout:
            return True


def open_store(scale: str, root: Path | None = None) -> RunStore:
    """The store of a scale, below the repository root `root` (found if None)."""
    return RunStore(results_root(scale, root))


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def file_digest(file: Path) -> str:
    """Hex SHA-256 of a file."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
