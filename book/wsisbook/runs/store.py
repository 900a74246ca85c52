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

__all__ = [
    "LOCK_SECONDS",
    "RunBusyError",
    "RunStore",
    "file_digest",
    "now",
    "open_store",
    "results_root",
]

# Long enough to outlast another process's look at whether the lock is held.
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

    def status(self, key: RunKey) -> dict[str, Any]:
        """What status.json holds; empty where the run was never started.

        A corrupt file gives the state "damaged" with the error.
        """
        try:
            return self.read(key, "status.json") or {}
        except ValueError as error:
            return {"state": "damaged", "error": str(error)}

    def read(self, key: RunKey, name: str) -> Any:
        """A JSON file of a run, None where it is not there.

        Raises:
            ValueError: the file is corrupt.
        """
        try:
            return read_json(self.folder(key) / name)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write_status(self, key: RunKey, state: str, **facts: Any) -> None:
        """Write status.json; what is known of the last good result stays."""
        before = self.status(key)
        status = {"state": state, "date": now(), **facts}
        status.setdefault("result", before.get("result"))
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
        """Name -> kept weights of a finished run; None where some are gone or damaged.

        They are gone after a clone. A run that needs them then makes them anew.
        """
        kept = (self.status(key).get("result") or {}).get("weights", {})
        files = {name: self.folder(key) / "checkpoints" / name for name in kept}
        sound = all(file.is_file() and file_digest(file) == kept[n] for n, file in files.items())
        return files if sound else None

    @contextlib.contextmanager
    def lock(self, key: RunKey, wait: float = LOCK_SECONDS) -> Iterator[None]:
        """Hold the run's folder; one process at a time.

        Args:
            key: the run.
            wait: seconds to wait for another process; negative waits for ever.

        Raises:
            RunBusyError: another process holds it and does not end in time.
            OSError: the folder cannot be written; names it and the way out.
        """
        folder = self.folder(key)
        lock = FileLock(folder / "run.lock")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=wait)
        except Timeout:
            raise RunBusyError(
                f"another process is doing the run {key}; wait for it, or see `wsis status`"
            ) from None
        except OSError as error:
            raise OSError(
                f"{folder}: cannot write to the results folder ({error.strerror or error}); "
                "make it writable, or name another one in the environment variable WSIS_RESULTS"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def is_locked(self, key: RunKey) -> bool:
        """Whether a process holds the run's folder now."""
        file = self.folder(key) / "run.lock"
        if not file.is_file() or not os.access(file, os.W_OK):
            return False
        lock = FileLock(file)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        lock.release()
        return False


def open_store(scale: str, root: Path | None = None) -> RunStore:
    """The store of a scale, below the repository root `root` (found if None)."""
    return RunStore(results_root(scale, root))


def file_digest(file: Path) -> str:
    """Hex SHA-256 of a file."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
