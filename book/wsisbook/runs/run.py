"""One run: a row, a seed, a scale. From study.yml to files in the store."""

from __future__ import annotations

import json
import os
import shutil
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from wsisbook.runs.declared import RunKey, Study
from wsisbook.runs.environment import code_version, library_versions, machine
from wsisbook.runs.experiments import Context, Outcome
from wsisbook.runs.paths import without_paths
from wsisbook.runs.resolve import Run, resolve
from wsisbook.runs.spec import load_study
from wsisbook.runs.state import run_state
from wsisbook.runs.stopwatch import Stopwatch
from wsisbook.runs.store import LOCK_SECONDS, RunStore, file_digest, now, open_store
from wsislib.atomic import atomic_write, write_json
from wsislib.engine.memory import peak_memory_mib


@dataclass(frozen=True)
class Executed:
    """What came of `execute`: the run, its folder, and whether it had been done before."""

    key: RunKey
    folder: Path
    outcome: Literal["done", "already done"]


def execute(
    table: str,
    row: str,
    seed: int,
    scale: str,
    results_root: Path | None = None,
    *,
    study: Study | None = None,
    device: str = "auto",
    force: bool = False,
    progress: bool = True,
    wait: float = LOCK_SECONDS,
    keep_weights: bool = False,
) -> Executed:
    """Do one run, and before it the runs that it needs.

    A run whose numbers stand (`run_state` says done) is left alone. A run that was stopped
    goes on from its last checkpoint.

    Args:
        table: the run's table.
        row: its row.
        seed: its seed.
        scale: its scale.
        results_root: where runs live; found from the scale if None.
        study: the study; `book/study.yml` if None.
        device: "auto" or a device's name.
        force: do it again even if it is done.
        progress: whether to show progress bars.
        wait: seconds to wait where another process is doing it; negative waits for ever.
        keep_weights: do it again too where it is done but its weights are not here, as after
            a clone.

    Raises:
        ValueError: unknown table, row, scale or setting.
        RunBusyError: another process is doing it and does not end in `wait` seconds.
        OSError: the results folder cannot be written.
    """
    study = study or load_study()
    store = open_store(scale, study.root) if results_root is None else RunStore(results_root)
    run = resolve(study, RunKey(scale, table, row, seed))
    return _Execution(study, store, device, progress).do(
        run, force=force, wait=wait, keep_weights=keep_weights
    )


@dataclass(frozen=True)
class _Execution:
    """What stays the same over a run and the runs that it needs."""

    study: Study
    store: RunStore
    device: str
    progress: bool

    def do(self, run: Run, *, force: bool, wait: float, keep_weights: bool = False) -> Executed:
        """`run`, unless it is done; with `keep_weights` its weights must be there too."""
        folder = self.store.folder(run.key)
        if not force and self._stands(run, keep_weights):
            return Executed(run.key, folder, "already done")
        if _follows():
            self._follow(run)
            return Executed(run.key, folder, "done")
        with self.store.lock(run.key, wait=wait):
            if not force and self._stands(run, keep_weights):
                return Executed(run.key, folder, "already done")
            self._attempt(run, self._needs(run))
        return Executed(run.key, folder, "done")

    def _needs(self, run: Run) -> dict[str, Path]:
        """The folders of the runs that `run` needs, which are done first."""
        folders = {}
        for name, key in run.needs.items():
            needed = resolve(self.study, key)
            folders[name] = self.do(needed, force=False, wait=-1, keep_weights=True).folder
            while _follows() and not self._stands(needed, keep_weights=True):
                time.sleep(0.2)  # until the first process has published it
        return folders

    def _follow(self, run: Run) -> None:
        """Do this process's share of a run of several processes; the first one keeps the record."""
        context = Context(
            run.config, run.key.seed, self._work(run), self.device, self._needs(run), False
        )
        run.experiment.run(context)

    def _work(self, run: Run) -> Path:
        """The working folder of half-done attempts under the same parameters and parts."""
        work = self.store.folder(run.key) / "checkpoints" / f"work-{run.work_hash[:12]}"
        work.mkdir(parents=True, exist_ok=True)
        return work

    def _stands(self, run: Run, keep_weights: bool) -> bool:
        if run_state(self.study, self.store, run.key).state != "done":
            return False
        return not keep_weights or self.store.weights(run.key) is not None

    def _attempt(self, run: Run, needs: dict[str, Path]) -> None:
        """Do the experiment and publish it; whatever happens, status.json says so."""
        work = self._work(run)
        watch = Stopwatch(work / "attempts.json")
        self.store.write_status(run.key, "running", attempt=watch.attempts)
        try:
            with watch.running():
                context = Context(run.config, run.key.seed, work, self.device, needs, self.progress)
                outcome = run.experiment.run(context)
            environment = self._environment(run, outcome, watch)
            self._publish(run, outcome, environment)
        except KeyboardInterrupt:
            self.store.write_status(run.key, "interrupted", attempt=watch.attempts)
            raise
        except Exception as error:
            self.store.write_status(
                run.key,
                "failed",
                attempt=watch.attempts,
                error=without_paths(f"{type(error).__name__}: {error}"),
                traceback=without_paths("".join(traceback.format_exception(error)[-6:])),
            )
            raise
        shutil.rmtree(work, ignore_errors=True)

    def _environment(self, run: Run, outcome: Outcome, watch: Stopwatch) -> dict[str, Any]:
        """What environment.json holds."""
        needs = {}
        for name, key in run.needs.items():
            result = self.store.status(key).get("result") or {}
            needs[name] = {"run": str(key), "weights": result.get("weights", {})}
        memory = [outcome.peak_memory_mib, peak_memory_mib()]
        return {
            "date": now(),
            **code_version(self.study.root, self.study.files),
            "parts": run.parts,
            "versions": library_versions(),
            "device": outcome.device,
            "machine": machine(),
            "seconds": round(watch.seconds, 1),
            "attempts": watch.attempts,
            "peak_memory_mib": max((m for m in memory if m is not None), default=None),
            "data": dict(outcome.data),
            "needs": needs,
            "notes": dict(outcome.notes),
        }

    def _publish(self, run: Run, outcome: Outcome, environment: dict[str, Any]) -> None:
        """Write every file, then the status that names their digests."""
        folder = self.store.folder(run.key)
        write_json(folder / "params.json", run.record())
        write_json(folder / "metrics.json", dict(outcome.metrics))
        write_json(folder / "environment.json", environment)
        lines = [json.dumps(example, separators=(",", ":")) for example in outcome.examples]
        atomic_write(folder / "examples.json", "[\n" + ",\n".join(lines) + "\n]\n")
        names = ["params.json", "metrics.json", "environment.json", "examples.json"]
        for name, source in outcome.files.items():
            atomic_write(folder / name, source.read_bytes())
            names.append(name)
        kept = {}
        for name, source in outcome.weights.items():
            target = folder / "checkpoints" / name
            atomic_write(target, source.read_bytes())
            kept[name] = file_digest(target)
        files = {name: file_digest(folder / name) for name in names}
        self.store.write_status(
            run.key, "done", result={"date": now(), "files": files, "weights": kept}
        )


def _follows() -> bool:
    """Whether torchrun started this process as one of several, and not as the first."""
    return int(os.environ.get("RANK", "0")) > 0
