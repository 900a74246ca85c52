"""One run: a row, a seed, a scale. From study.yml to files in the store."""

from __future__ import annotations

import json
import os
import shutil
import time
import traceback
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

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


class Executed(NamedTuple):
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

    A run that is done (`run_state`) is left alone, unless `force` is set, or `keep_weights` and
    its weights are not here, as after a clone. A run that was stopped goes on from its last
    checkpoint. After `wait` seconds (negative: never) a RunBusyError says that another process is
    doing the run. The results folder is found from the scale, and the study is `book/study.yml`,
    where they are None.
    """
    study = study or load_study()
    store = open_store(scale, study.root) if results_root is None else RunStore(results_root)
    run = resolve(study, RunKey(scale, table, row, seed))
    execution = _Execution(study, store, device, progress)
    return execution.do(run, force=force, wait=wait, keep_weights=keep_weights)


@dataclass(frozen=True)
class _Execution:
    """What stays the same over a run and the runs that it needs."""

    study: Study
    store: RunStore
    device: str
    progress: bool

    def do(self, run: Run, *, force: bool, wait: float, keep_weights: bool = False) -> Executed:
        """`run`, unless it is done; with `keep_weights` its weights must be there too."""
        executed = partial(Executed, run.key, self.store.folder(run.key))
        if not force and self._is_done(run, keep_weights):
            return executed("already done")
        if _is_follower():
            # The first process holds the lock and keeps the record; this one only does its share.
            run.experiment.run(self._context(run, progress=False))
            return executed("done")
        with self.store.lock(run.key, wait=wait):
            # Another process may have done it while this one waited for the lock.
            if not force and self._is_done(run, keep_weights):
                return executed("already done")
            self._attempt(run, self._context(run, self.progress))
        return executed("done")

    def _context(self, run: Run, progress: bool) -> Context:
        """What the experiment is given; the runs that `run` needs are done first."""
        needs = {}
        for name, key in run.needs.items():
            needed = resolve(self.study, key)
            needs[name] = self.do(needed, force=False, wait=-1, keep_weights=True).folder
            while _is_follower() and not self._is_done(needed, keep_weights=True):
                time.sleep(0.2)  # until the first process has published it
        # Half-done attempts under the same parameters and parts share a working folder.
        work = self.store.folder(run.key) / "checkpoints" / f"work-{run.work_hash[:12]}"
        work.mkdir(parents=True, exist_ok=True)
        return Context(run.config, run.key.seed, work, self.device, needs, progress)

    def _is_done(self, run: Run, keep_weights: bool) -> bool:
        if run_state(self.study, self.store, run.key).state != "done":
            return False
        return not keep_weights or self.store.weights(run.key) is not None

    def _attempt(self, run: Run, context: Context) -> None:
        """Do the experiment and publish it; whatever happens, status.json says so."""
        watch = Stopwatch(context.folder / "attempts.json")
        note = partial(self.store.write_status, run.key, attempt=watch.attempts)
        note("running")
        try:
            with watch.running():
                outcome = run.experiment.run(context)
            self._publish(run, outcome, watch)
        except KeyboardInterrupt:
            note("interrupted")
            raise
        except Exception as error:
            note(
                "failed",
                error=without_paths(f"{type(error).__name__}: {error}"),
                traceback=without_paths("".join(traceback.format_exception(error)[-6:])),
            )
            raise
        shutil.rmtree(context.folder, ignore_errors=True)

    def _publish(self, run: Run, outcome: Outcome, watch: Stopwatch) -> None:
        """Write every file, then the status that names their digests."""
        folder = self.store.folder(run.key)
        records = {"params.json": run.record(), "metrics.json": dict(outcome.metrics)}
        records["environment.json"] = self._environment(run, outcome, watch)
        for name, record in records.items():
            write_json(folder / name, record)
        lines = [json.dumps(example, separators=(",", ":")) for example in outcome.examples]
        atomic_write(folder / "examples.json", "[\n" + ",\n".join(lines) + "\n]\n")
        for name, source in outcome.files.items():
            atomic_write(folder / name, source.read_bytes())
        weights = {}
        for name, source in outcome.weights.items():
            target = folder / "checkpoints" / name
            atomic_write(target, source.read_bytes())
            weights[name] = file_digest(target)
        names = [*records, "examples.json", *outcome.files]
        files = {name: file_digest(folder / name) for name in names}
        result = {"date": now(), "files": files, "weights": weights}
        self.store.write_status(run.key, "done", result=result)

    def _environment(self, run: Run, outcome: Outcome, watch: Stopwatch) -> dict[str, Any]:
        """What environment.json holds."""
        memory = [outcome.peak_memory_mib, peak_memory_mib()]
        weights = {key: self.store.result(key).get("weights", {}) for key in run.needs.values()}
        needs = {n: {"run": str(key), "weights": weights[key]} for n, key in run.needs.items()}
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


def _is_follower() -> bool:
    """Whether torchrun started this process as one of several, and not as the first."""
    return int(os.environ.get("RANK", "0")) > 0
