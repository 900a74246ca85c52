"""Which runs are to be done, in which order, and what they will cost: as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from wsisbook.plan import costs
from wsisbook.plan.costs import MEASURED, NO_TRAINING, Cost, Work, size
from wsisbook.plan.data_sources import (
    DataFile,
    backbone_package,
    backbone_weights,
    data_file_at,
)
from wsisbook.plan.step_times import gpu_rate, read_step_times
from wsisbook.runs.declared import RunKey, Study
from wsisbook.runs.paths import data_folder
from wsisbook.runs.resolve import keys_of, resolve, with_needs
from wsisbook.runs.state import RunState, run_state
from wsisbook.runs.stopwatch import duration
from wsisbook.runs.store import RunStore


@dataclass(frozen=True)
class Job:
    """One run to be done: its name, its state, the jobs of the plan that must end before."""

    key: RunKey
    why: RunState
    needs: tuple[RunKey, ...]
    cost: Cost
    work: Work | None = None  # what it takes by measured steps, where such were measured

    def record(self) -> dict[str, Any]:
        """The job as JSON holds it."""
        return {
            "run": str(self.key),
            "state": self.why.state,
            "why": self.why.reasons,
            "needs": [str(need) for need in self.needs],
            **self.cost._asdict(),
            "work": None if self.work is None else asdict(self.work),
        }

    def lines(self, gpus: int) -> list[str]:
        """The job for a reader; `gpus` is how many work together."""
        why = f" ({self.why.why})" if self.why.why else ""
        time = "no steps" if self.cost.source == NO_TRAINING else duration(self.cost.seconds)
        core = " of one core" if self.cost.source == MEASURED else ""
        source = f", by {self.cost.source}" if self.cost.seconds is not None else ""
        head = f"  {self.key}  {self.why.state}{why}: {time}{core}{source}"
        work = self.work
        if work is None:
            return [head]
        needs = f"; needs {', '.join(map(str, self.needs))}" if self.needs else ""
        differs = f", which differs in {', '.join(work.differs)}" if work.differs else ""
        return [
            head,
            f"      {work.steps:,} steps of {work.images_per_step} images{needs}",
            f"      {_gpu_time(work.gpu_seconds, gpus)}",
            f"      disk: {size(work.weights_bytes)} of weights stay, {size(work.training_bytes)} "
            f"while it trains; memory: {size(work.memory_mib * 2**20)} with {work.memory_images} "
            "image(s) a step where it was measured",
            f"      by {work.measured}{differs}",
        ]


@dataclass(frozen=True)
class Plan:
    """The jobs, what is needed first, and how many runs stand already."""

    jobs: tuple[Job, ...]
    standing: int

    @property
    def works(self) -> list[Work]:
        """What the jobs take for which it is known from measured steps."""
        return [job.work for job in self.jobs if job.work is not None]

    @property
    def seconds(self) -> float:
        """Seconds of all jobs whose cost is known, on one worker."""
        return sum(job.cost.seconds or 0.0 for job in self.jobs)

    @property
    def gpu_seconds(self) -> float:
        """Seconds of one GPU, of all jobs for which they are known."""
        return sum(work.gpu_seconds or 0.0 for work in self.works)

    @property
    def disk(self) -> tuple[int, int]:
        """Bytes that stay when all is done, and the most beside them while one job trains."""
        training = max((work.training_bytes for work in self.works), default=0)
        return sum(work.weights_bytes for work in self.works), training

    def count(self, source: str) -> int:
        """How many jobs' cost has this source."""
        return sum(job.cost.source == source for job in self.jobs)

    def text(self, workers: int = 1, gpus: int = 8) -> str:
        """The plan for a reader: `workers` jobs at a time, `gpus` together on one run."""
        if not self.jobs:
            return f"nothing to do: {self.standing} run(s) stand"
        lines = [line for job in self.jobs for line in job.lines(gpus)]
        total = f"{len(self.jobs)} run(s) to do, {self.standing} stand already"
        unknown, without_steps = self.count("unknown"), self.count(NO_TRAINING)
        if len(self.jobs) > unknown + without_steps:
            each = self.seconds / max(1, min(workers, len(self.jobs)))
            of = "one core" if self.count(MEASURED) else "work"
            about = f"about {duration(each)} on {workers} worker(s)"
            total += f"; {duration(self.seconds)} of {of}, {about}"
        total += f"; cost unknown for {unknown}" if unknown else ""
        total += f"; {without_steps} without steps not counted" if without_steps else ""
        lines.append(total)
        if self.works:
            kept, training = self.disk
            lines += [
                f"all runs, one after the other: {_gpu_time(self.gpu_seconds, gpus)}",
                f"disk: {size(kept)} of weights stay, {size(training)} more while a run trains",
                "time on a core: measured steps at full size (benchmarks/results/"
                "paper_steps_*.json) times steps and images, an upper bound; evaluation is not "
                "counted",
                *(f"time on a GPU, roughly: {source}" for source in self.gpu_sources()),
            ]
        return "\n".join(lines)

    def gpu_sources(self) -> list[str]:
        """Where GPU times come from, each source once."""
        return list(dict.fromkeys(w.gpu_source for w in self.works if w.gpu_seconds is not None))

    def record(self, files: Sequence[DataFile], gpus: int) -> dict[str, Any]:
        """The plan as JSON holds it; times in seconds, room in bytes, memory in MiB."""
        kept, training = self.disk
        return {
            "jobs": [job.record() for job in self.jobs],
            "standing": self.standing,
            "gpus": gpus,
            "seconds": self.seconds,
            "gpu_seconds": self.gpu_seconds,
            "cost_unknown": self.count("unknown"),
            "only_evaluated": self.count(NO_TRAINING),
            "disk": {"kept": kept, "while_training": training},
            "files": [file.record() for file in files],
        }


def _gpu_time(seconds: float | None, gpus: int) -> str:
    """Hours of one GPU, and by the clock where `gpus` share them evenly."""
    if seconds is None:
        return "GPU hours unknown"
    return f"{seconds / 3600:,.0f} GPU hours, {duration(seconds / gpus)} on {gpus}"


def make_plan(
    study: Study, store: RunStore, scale: str, tables: Iterable[str] = (), force: bool = False
) -> Plan:
    """The runs of `tables` (all if empty) that do not stand, with all that they need.

    A needed run also counts as unfinished when its weights are gone, as after a clone.
    """
    asked = keys_of(study, scale, tables)
    states = {key: run_state(study, store, key) for key in asked}
    todo = {key: state for key, state in states.items() if force or state.state != "done"}
    for key in reversed(with_needs(study, todo)):
        for need in resolve(study, key).needs.values():
            if need not in todo and key in todo:
                state = run_state(study, store, need)
                if state.state != "done":
                    todo[need] = state
                elif store.weights(need) is None:
                    todo[need] = RunState("missing", ("its weights are not here",), True)
    steps, past = read_step_times(study.root), costs.past_runs(store)
    rate = gpu_rate(steps, study.root / "papers")
    jobs = []
    for run in (resolve(study, key) for key in with_needs(study, todo) if key in todo):
        work = costs.expected_work(run, steps, rate)
        needs = tuple(need for need in run.needs.values() if need in todo)
        jobs.append(Job(run.key, todo[run.key], needs, costs.expected_cost(run, past, work), work))
    return Plan(tuple(jobs), len([key for key in asked if key not in todo]))


def data_needs(study: Study, plan: Plan) -> list[DataFile]:
    """Each file or folder that the plan's jobs read, in order, each once."""
    folder = data_folder(study.root)
    paths: dict[Path, None] = {}
    for run in (resolve(study, job.key) for job in plan.jobs):
        paths |= {folder / name: None for name in run.experiment.files(run.config) if name}
        for weights in (backbone_weights(run.config), backbone_package(run.config)):
            if weights is not None:
                paths[weights] = None
    return [data_file_at(path) for path in paths]


def part_of(study: Study, table: str) -> str:
    """The folder of the chapter that shows a table."""
    return study.table(table).notebook.rpartition("/")[0] or "in no chapter"


def part_costs(study: Study, store: RunStore, scale: str, runs: pd.DataFrame) -> pd.DataFrame:
    """What each part of the book costs, in the order of the book.

    A run belongs to the part whose chapter has its table; `runs` is what `status_frame` says of
    the store. Columns: numbers of runs, of those done and of unknown cost; seconds of those done,
    on the machines that did them, and of those left as far as known.
    """
    expected = {str(job.key): job.cost.seconds for job in make_plan(study, store, scale).jobs}
    done = runs["state"] == "done"
    names = [f"{r.table}/{r.row}/seed-{r.seed}" for r in runs.itertuples()]
    left = pd.Series([expected.get(name) for name in names], runs.index, dtype=float)
    left = left.mask(done, 0.0)
    seconds = {"done_seconds": runs["seconds"].where(done, 0.0), "left_seconds": left}
    frame = pd.DataFrame({"runs": 1, "done": done, "unknown": left.isna(), **seconds})
    return frame.groupby(runs["table"].map(partial(part_of, study)), sort=False).sum()


def part_rows(parts: pd.DataFrame) -> list[tuple[str, str, str, str, str]]:
    """Part, runs, done, time of those done, time of the rest, for a reader."""
    rows = []
    for name, cost in parts.to_dict("index").items():
        left = [f"{cost['unknown']} of unknown cost"] if cost["unknown"] else []
        if cost["runs"] > cost["done"] + cost["unknown"]:
            left.insert(0, duration(cost["left_seconds"]))
        numbers = str(cost["runs"]), str(cost["done"]), duration(cost["done_seconds"])
        rows.append((str(name), *numbers, ", ".join(left) or "–"))
    return rows


def gpu_hours(study: Study, plan: Plan) -> dict[str, tuple[int, float]]:
    """Part -> runs whose steps were measured, and their hours of one GPU."""
    found: dict[str, list[float]] = {}
    for job in plan.jobs:
        if job.work is not None and job.work.gpu_seconds is not None:
            part = part_of(study, job.key.table)
            found.setdefault(part, []).append(job.work.gpu_seconds / 3600)
    return {part: (len(hours), sum(hours)) for part, hours in found.items()}
