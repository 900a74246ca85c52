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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from wsisbook.batch.processes import VARIABLE, batch_mark, stop_group
from wsisbook.plan.plan import Job, Plan
from wsisbook.runs.declared import RunKey, Study
from wsisbook.runs.environment import cores
from wsisbook.runs.state import run_state
from wsisbook.runs.store import RunStore
from wsislib.atomic import write_json

WORKFLOW = Path(__file__).with_name("batch.smk")
_KEPT_BATCHES = 5


@dataclass(frozen=True)
class Batch:
    """What came of a batch.

    Attributes:
        done: runs that stand now.
        failed: run -> its reason and the log that tells more.
        elsewhere: runs that another process is doing.
        waiting: runs that were not started, because a run that they need failed or the batch
            was stopped.
        folder: logs and Snakemake's own log.
    """

    done: tuple[RunKey, ...]
    failed: dict[RunKey, str]
    elsewhere: tuple[RunKey, ...]
    waiting: tuple[RunKey, ...]
    folder: Path


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
    report: Callable[[Plan, float], None] = lambda plan, started: None,
) -> Batch:
    """Do the jobs of `plan`, `workers` at a time; a failing job does not stop the others.

    Each batch keeps its logs in a folder of its own in `folder`. `executor` is a Snakemake plugin
    such as "slurm", with `extra` arguments for Snakemake; "" runs on this machine. `report` is
    called about once a second with the plan and the start time.

    Raises:
        ValueError: Snakemake is not installed or refused to start; shows its message.
        KeyboardInterrupt: this process was asked to stop; all children are stopped before.
    """
    if importlib.util.find_spec("snakemake") is None:
        raise ValueError("batches need Snakemake: pip install 'wsis-book[batch]'")
    place = _new_folder(folder)
    jobs = {
        job_name(job.key): _job(study, store, plan, job, device, force, bool(executor))
        for job in plan.jobs
    }
    write_json(place / "plan.json", jobs)
    started = time.time()
    with _snakemake(place, study.root, workers, executor, extra) as process:
        while process.poll() is None:
            report(plan, started)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=1.0)
    report(plan, started)
    batch = _outcome(study, store, plan, place, started)
    if process.returncode and not (batch.done or batch.failed or batch.elsewhere):
        raise ValueError(f"Snakemake could not start the batch:\n{_tail(place / 'snakemake.log')}")
    return batch


def job_name(key: RunKey) -> str:
    """The name of a run's job, its stamp and its log."""
    return f"{key.table}.{key.row}.seed-{key.seed}"


def _job(
    study: Study, store: RunStore, plan: Plan, job: Job, device: str, force: bool, cluster: bool
) -> dict[str, object]:
    """Command and needs of one job, as the workflow reads them."""
    key = job.key
    words = [sys.executable, "-m", "wsisbook.cli", "run", key.table, key.row]
    words += ["--seed", str(key.seed), "--scale", key.scale, "--device", device, "--no-progress"]
    # On this machine, time for a run of a batch that was just killed to save and leave. On a
    # cluster a job that was submitted twice must not sit idle.
    words += ["--wait", "2" if cluster else "30"]
    words += ["--force"] if force else []
    words += ["--weights"] if any(key in other.needs for other in plan.jobs) else []
    # Snakemake works in the batch's folder; the run must find the study and the same results.
    settings = f"WSIS_RESULTS={shlex.quote(str(store.root.resolve()))}"
    command = f"cd {shlex.quote(str(study.root))} && {settings} {shlex.join(words)}"
    return {"command": f"( {command} )", "needs": [job_name(need) for need in job.needs]}


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
    done, elsewhere, waiting = [], [], []
    failed: dict[RunKey, str] = {}
    for job in plan.jobs:
        state = run_state(study, store, job.key)
        log = folder / "logs" / f"{job_name(job.key)}.log"
        if state.state == "done":
            done.append(job.key)
        elif state.state == "running":
            elsewhere.append(job.key)
        # A second of tolerance: some file systems round the time of a change down.
        elif log.is_file() and log.stat().st_mtime >= started - 1:
            failed[job.key] = f"{state.why or _tail(log, 1)} (log: {log})"
        else:
            waiting.append(job.key)
    return Batch(tuple(done), failed, tuple(elsewhere), tuple(waiting), folder)


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
        raise OSError(
            f"{parent}: cannot write there ({error.strerror}); make it writable"
        ) from None
    for old in sorted(item for item in parent.iterdir() if item.is_dir())[:-_KEPT_BATCHES]:
        shutil.rmtree(old, ignore_errors=True)
    return folder
