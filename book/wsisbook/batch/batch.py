"""Many runs on a real engine: Snakemake as a subprocess, while the store stays the truth.

Each job is the command `wsis run`, which takes the run's lock and does nothing where the run is
done. So it does not matter if Snakemake, this process or the machine is killed: started again,
the plan holds the unfinished runs only, and each goes on from its last checkpoint. The same
description runs on a cluster: `executor="slurm"` with Snakemake's plugin of that name.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from wsisbook.batch.processes import VARIABLE, batch_mark, stop_group
from wsisbook.plan.plan import Plan
from wsisbook.runs.declared import RunKey, Study
from wsisbook.runs.environment import cores
from wsisbook.runs.state import run_state
from wsisbook.runs.stopwatch import duration
from wsisbook.runs.store import RunStore
from wsislib.atomic import write_json

WORKFLOW = Path(__file__).with_name("batch.smk")
_KEPT_BATCHES = 5


class Batch(NamedTuple):
    """What came of a batch."""

    done: list[RunKey]
    failed: dict[RunKey, str]  # the reason, and the log that tells more
    elsewhere: list[RunKey]  # another process is doing them
    waiting: list[RunKey]  # not started: a run that they need failed, or the batch was stopped
    folder: Path  # with the logs of all jobs and of Snakemake


def run_batch(
    study: Study,
    store: RunStore,
    plan: Plan,
    folder: Path,
    *,
    workers: int = 1,
    executor: str = "",
    extra: Sequence[str] = (),
    device: str = "auto",
    force: bool = False,
) -> Batch:
    """Do the jobs of `plan`, `workers` at a time; a failing job does not stop the others.

    Each batch keeps its logs in a folder of its own in `folder`. `executor` is a Snakemake plugin
    such as "slurm", with `extra` arguments for Snakemake; "" runs on this machine. A ValueError
    shows why Snakemake did not start; before a KeyboardInterrupt leaves, all children are stopped.
    """
    if importlib.util.find_spec("snakemake") is None:
        raise ValueError("batches need Snakemake: pip install 'wsis-book[batch]'")
    place = _new_folder(folder)
    needed = {need for job in plan.jobs for need in job.needs}
    options = ["--device", device, "--no-progress", *(["--force"] if force else [])]
    # On this machine, time for a run of a batch that was just killed to save and leave. On a
    # cluster a job that was submitted twice must not sit idle.
    options += ["--wait", "2" if executor else "30"]
    jobs = {}
    for job in plan.jobs:
        weights = ["--weights"] if job.key in needed else []
        command = _command(study, store, job.key, [*options, *weights])
        jobs[job_name(job.key)] = {"command": command, "needs": [*map(job_name, job.needs)]}
    write_json(place / "plan.json", jobs)
    started, progress = time.time(), _Progress(store)
    with _snakemake(place, study.root, workers, executor, extra) as process:
        while process.poll() is None:
            progress.show(plan, started)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=1.0)
    progress.show(plan, started)
    batch = _outcome(study, store, plan, place, started)
    if process.returncode and not (batch.done or batch.failed or batch.elsewhere):
        raise ValueError(f"Snakemake could not start the batch:\n{_tail(place / 'snakemake.log')}")
    return batch


def job_name(key: RunKey) -> str:
    """The name of a run's job, its stamp and its log."""
    return f"{key.table}.{key.row}.seed-{key.seed}"


def _command(study: Study, store: RunStore, key: RunKey, options: Sequence[str]) -> str:
    """The shell command of one run."""
    words = [sys.executable, "-m", "wsisbook.cli", "run", key.table, key.row]
    words += ["--seed", str(key.seed), "--scale", key.scale, *options]
    # Snakemake works in the batch's folder; the run must find the study and the same results.
    settings = f"WSIS_RESULTS={shlex.quote(str(store.root.resolve()))}"
    return f"( cd {shlex.quote(str(study.root))} && {settings} {shlex.join(words)} )"


@contextlib.contextmanager
def _snakemake(
    folder: Path, root: Path, workers: int, executor: str, extra: Sequence[str]
) -> Iterator[subprocess.Popen]:
    """Snakemake in a session of its own; however the block ends, all of it is stopped."""
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(WORKFLOW),
        "--directory", str(folder), "--config", f"plan={folder / 'plan.json'}",
        "--nolock", "--rerun-incomplete", "--keep-going",
        "--rerun-triggers", "mtime", "params", "input", "--quiet", "rules", "host",
        *(["--executor", executor, "--jobs", str(workers)] if executor else [f"-c{workers}"]),
        *extra,
    ]  # fmt: skip
    environment = dict(os.environ)
    if not executor:
        environment[VARIABLE] = batch_mark()
        environment.setdefault("OMP_NUM_THREADS", str(max(1, cores() // workers)))
    with open(folder / "snakemake.log", "wb") as log:
        process = subprocess.Popen(
            command, cwd=root, env=environment, stdout=log, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            stop_group(process)


def _outcome(study: Study, store: RunStore, plan: Plan, folder: Path, started: float) -> Batch:
    """Which runs are done, failed, elsewhere or never started: read from the store."""
    batch = Batch([], {}, [], [], folder)
    for key in (job.key for job in plan.jobs):
        state, log = run_state(study, store, key), folder / "logs" / f"{job_name(key)}.log"
        if state.state == "done":
            batch.done.append(key)
        elif state.state == "running":
            batch.elsewhere.append(key)
        # A second of tolerance: some file systems round the time of a change down.
        elif log.is_file() and log.stat().st_mtime >= started - 1:
            batch.failed[key] = f"{state.why or _tail(log, 1)} (log: {log})"
        else:
            batch.waiting.append(key)
    return batch


def _tail(file: Path, lines: int = 20) -> str:
    try:
        return "\n".join(file.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError:
        return "no log"


def _new_folder(parent: Path) -> Path:
    """A new folder for this batch; the oldest ones are removed."""
    folder = parent / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    try:
        (folder / "logs").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = f"{parent}: cannot write there ({error.strerror}); make it writable"
        raise OSError(why) from None
    for old in sorted(item for item in parent.iterdir() if item.is_dir())[:-_KEPT_BATCHES]:
        shutil.rmtree(old, ignore_errors=True)
    return folder


@dataclass
class _Progress:
    """Prints one line whenever something changed; on a terminal the line renews itself."""

    store: RunStore
    _last: str = ""

    def show(self, plan: Plan, started: float) -> None:
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
        if shown != self._last:
            before, after = ("\r\x1b[K", "" if left else "\n") if terminal else ("", "\n")
            print(f"{before}{news}{clock}", end=after, file=sys.stderr, flush=True)
        self._last = shown

    def _state(self, key: RunKey, started: float) -> str:
        """State of this batch's attempt: waiting until status.json is newer than the batch."""
        try:
            if (self.store.folder(key) / "status.json").stat().st_mtime < started:
                return "waiting"
        except OSError:
            return "waiting"
        return str(self.store.status(key).get("state", "waiting"))
