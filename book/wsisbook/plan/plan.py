"""Which runs are to be done, in which order, and what they will cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wsisbook.plan.costs import NO_TRAINING, Cost, Work, expected_cost, expected_work, size
from wsisbook.plan.data_sources import DataFile, backbone_weights, data_file_at
from wsisbook.plan.step_times import GpuRate, StepTime, gpu_rate, read_step_times
from wsisbook.runs.declared import RunKey, Study
from wsisbook.runs.paths import data_folder
from wsisbook.runs.resolve import keys_of, resolve, with_needs
from wsisbook.runs.state import RunState, run_state
from wsisbook.runs.stopwatch import duration
from wsisbook.runs.store import RunStore

if TYPE_CHECKING:
    import pandas as pd

ELSEWHERE = "in no chapter"
_MEASURED = "measured steps"


@dataclass(frozen=True)
class Job:
    """One run to be done.

    Attributes:
        key: its name.
        why: the state that makes it to be done.
        needs: the jobs of the same plan that must end before.
        cost: what it will cost.
        work: what it takes by measured steps, None where no such step was measured.
    """

    key: RunKey
    why: RunState
    needs: tuple[RunKey, ...]
    cost: Cost
    work: Work | None = None


@dataclass(frozen=True)
class Plan:
    """The jobs, what is needed first, and how many runs stand already."""

    jobs: tuple[Job, ...]
    standing: int

    @property
    def seconds(self) -> float:
        """Seconds of all jobs whose cost is known, on one worker."""
        return sum(job.cost.seconds or 0.0 for job in self.jobs)

    @property
    def unknown(self) -> int:
        """How many jobs' cost is not known, though they train."""
        return sum(job.cost.source == "unknown" for job in self.jobs)

    @property
    def only_evaluated(self) -> int:
        """How many jobs train nothing and have never been run."""
        return sum(job.cost.source == NO_TRAINING for job in self.jobs)

    @property
    def gpu_seconds(self) -> float:
        """Seconds of one GPU, of all jobs for which they are known."""
        return sum(job.work.gpu_seconds or 0.0 for job in self.jobs if job.work is not None)

    @property
    def disk(self) -> tuple[int, int]:
        """Bytes that stay when all is done, and the most beside them while one job trains."""
        rooms = [job.work.room for job in self.jobs if job.work is not None]
        kept = sum(room.weights for room in rooms)
        return kept, max((room.training for room in rooms), default=0)

    def text(self, workers: int = 1, gpus: int = 8) -> str:
        """What will be done and what it will cost, for a reader."""
        return plan_text(self, workers, gpus)


def make_plan(
    study: Study, store: RunStore, scale: str, tables: Iterable[str] = (), force: bool = False
) -> Plan:
    """The runs of `tables` (all if empty) that do not stand, with all that they need.

    A needed run also counts as unfinished when its weights are gone, as after a clone.

    Raises:
        ValueError: unknown table or scale, or settings that do not resolve.
    """
    asked = keys_of(study, scale, tables)
    todo: dict[RunKey, RunState] = {}
    for key in asked:
        state = run_state(study, store, key)
        if force or state.state != "done":
            todo[key] = state
    for key in reversed(with_needs(study, todo)):
        for need in resolve(study, key).needs.values():
            if need not in todo and key in todo:
                state = run_state(study, store, need)
                if state.state != "done":
                    todo[need] = state
                elif store.weights(need) is None:
                    todo[need] = RunState("missing", ("its weights are not here",), True)
    ordered = [key for key in with_needs(study, todo) if key in todo]
    steps = read_step_times(study.root)
    rate = gpu_rate(steps, study.root / "papers")
    jobs = tuple(_job(study, store, key, todo, steps, rate) for key in ordered)
    return Plan(jobs, len([key for key in asked if key not in todo]))


def _job(
    study: Study,
    store: RunStore,
    key: RunKey,
    todo: dict[RunKey, RunState],
    steps: list[StepTime],
    rate: GpuRate | None,
) -> Job:
    run = resolve(study, key)
    work = expected_work(run, steps, rate)
    needs = tuple(need for need in run.needs.values() if need in todo)
    return Job(key, todo[key], needs, expected_cost(study, store, key, work), work)


def data_needs(study: Study, plan: Plan) -> list[DataFile]:
    """Each file or folder that the plan's jobs read, in order, each once."""
    folder = data_folder(study.root)
    paths = {}
    for job in plan.jobs:
        run = resolve(study, job.key)
        own = [folder / name for name in run.experiment.files(run.config) if name]
        weights = backbone_weights(run.config)
        if weights is not None:
            own.append(weights)
        paths.update(dict.fromkeys(own))
    return [data_file_at(path) for path in paths]


def plan_text(plan: Plan, workers: int, gpus: int) -> str:
    """What will be done and what it will cost.

    Args:
        plan: the plan.
        workers: how many jobs at a time.
        gpus: how many GPUs work together on one run.
    """
    if not plan.jobs:
        return f"nothing to do: {plan.standing} run(s) stand"
    lines = [line for job in plan.jobs for line in _job_lines(job, gpus)]
    known = len(plan.jobs) - plan.unknown - plan.only_evaluated
    total = f"{len(plan.jobs)} run(s) to do, {plan.standing} stand already"
    if known:
        share = plan.seconds / max(1, min(workers, len(plan.jobs)))
        of = "one core" if any(job.cost.source == _MEASURED for job in plan.jobs) else "work"
        total += f"; {duration(plan.seconds)} of {of}, about {duration(share)} on {workers}"
        total += " worker(s)"
    if plan.unknown:
        total += f"; cost unknown for {plan.unknown}"
    if plan.only_evaluated:
        total += f"; {plan.only_evaluated} without steps not counted"
    return "\n".join([*lines, total, *_totals(plan, gpus)])


def files_text(files: Sequence[DataFile]) -> str:
    """The files that a plan's jobs read: there, or missing and where to get them."""
    lines = []
    for file in files:
        room = "" if file.bytes is None else f", {size(file.bytes)}"
        if file.present:
            lines.append(f"needs file: {file.path} (there{room})")
        else:
            where = "" if file.source is None else f", from {file.source.address}"
            lines.append(f"needs file: {file.path} (missing{room}{where})")
    return "\n".join(lines)


def plan_json(plan: Plan, files: Sequence[DataFile], gpus: int) -> dict[str, Any]:
    """The plan as JSON holds it; times in seconds, room in bytes, memory in MiB."""
    kept, training = plan.disk
    return {
        "jobs": [_job_json(job) for job in plan.jobs],
        "standing": plan.standing,
        "gpus": gpus,
        "seconds": plan.seconds,
        "gpu_seconds": plan.gpu_seconds,
        "cost_unknown": plan.unknown,
        "only_evaluated": plan.only_evaluated,
        "disk": {"kept": kept, "while_training": training},
        "files": [
            {
                "path": str(file.path),
                "present": file.present,
                "bytes": file.bytes,
                "address": None if file.source is None else file.source.address,
                "download": None if file.source is None else file.source.download,
            }
            for file in files
        ],
    }


def gpu_time(seconds: float | None, gpus: int) -> str:
    """Hours of one GPU, and by the clock where `gpus` share them evenly."""
    if seconds is None:
        return "GPU hours unknown"
    return f"{seconds / 3600:,.0f} GPU hours, {duration(seconds / gpus)} on {gpus}"


def _job_lines(job: Job, gpus: int) -> list[str]:
    known = f", by {job.cost.source}" if job.cost.seconds is not None else ""
    core = " of one core" if job.cost.source == _MEASURED else ""
    why = f" ({job.why.why})" if job.why.why else ""
    time = "no steps" if job.cost.source == NO_TRAINING else duration(job.cost.seconds)
    lines = [f"  {job.key}  {job.why.state}{why}: {time}{core}{known}"]
    work = job.work
    if work is None:
        return lines
    needs = f"; needs {', '.join(map(str, job.needs))}" if job.needs else ""
    lines.append(f"      {work.steps:,} steps of {work.images} images{needs}")
    lines.append(f"      {gpu_time(work.gpu_seconds, gpus)}")
    lines.append(
        f"      disk: {size(work.room.weights)} of weights stay, {size(work.room.training)} while "
        f"it trains; memory: {size(work.memory_mib * 2**20)} with {work.memory_images} image(s) "
        "a step where it was measured"
    )
    differs = f", which differs in {', '.join(work.differs)}" if work.differs else ""
    lines.append(f"      by {work.measured}{differs}")
    return lines


def _totals(plan: Plan, gpus: int) -> list[str]:
    """What all jobs with measured steps take together, and where the numbers come from."""
    works = [job.work for job in plan.jobs if job.work is not None]
    if not works:
        return []
    kept, training = plan.disk
    lines = [
        f"all runs, one after the other: {gpu_time(plan.gpu_seconds, gpus)}",
        f"disk: {size(kept)} of weights stay, {size(training)} more while a run trains",
        "time on a core: measured steps at full size (benchmarks/results/paper_steps_*.json) "
        "times steps and images, an upper bound; evaluation is not counted",
    ]
    sources = dict.fromkeys(work.gpu_source for work in works if work.gpu_seconds is not None)
    return lines + [f"time on a GPU, roughly: {source}" for source in sources]


def _job_json(job: Job) -> dict[str, Any]:
    work = job.work
    return {
        "run": str(job.key),
        "state": job.why.state,
        "why": list(job.why.reasons),
        "needs": [str(need) for need in job.needs],
        "seconds": job.cost.seconds,
        "source": job.cost.source,
        "work": None
        if work is None
        else {
            "steps": work.steps,
            "images_per_step": work.images,
            "core_seconds": work.core_seconds,
            "gpu_seconds": work.gpu_seconds,
            "gpu_source": work.gpu_source,
            "measured": work.measured,
            "differs": list(work.differs),
            "weights_bytes": work.room.weights,
            "checkpoint_bytes": work.room.checkpoint,
            "training_bytes": work.room.training,
            "memory_mib": work.memory_mib,
            "memory_images": work.memory_images,
        },
    }


@dataclass
class PartCost:
    """The runs of one folder of chapters; a run that a chapter of another part shows is not its.

    Attributes:
        runs: how many it has, and `done` how many of them stand.
        done_seconds: of those that stand, on the machines that did them, one after the other.
        left_seconds: of the others as far as their cost is known; `unknown` is how many it
            leaves out.
    """

    runs: int = 0
    done: int = 0
    done_seconds: float = 0.0
    left_seconds: float = 0.0
    unknown: int = 0


def part_of(study: Study, table: str) -> str:
    """The folder of the chapter that shows a table."""
    notebook = study.table(table).notebook
    return notebook.rpartition("/")[0] if notebook else ELSEWHERE


def part_costs(
    study: Study, store: RunStore, scale: str, runs: pd.DataFrame
) -> dict[str, PartCost]:
    """Part -> what it costs, in the order of the book.

    Args:
        study: the study.
        store: whose runs.
        scale: the store's scale.
        runs: what `status_frame` says of them.
    """
    costs = {job.key: job.cost.seconds for job in make_plan(study, store, scale).jobs}
    found: dict[str, PartCost] = {}
    for line in runs.to_dict("records"):
        part = found.setdefault(part_of(study, line["table"]), PartCost())
        part.runs += 1
        if line["state"] == "done":
            part.done += 1
            part.done_seconds += line["seconds"]
            continue
        left = costs.get(RunKey(scale, line["table"], line["row"], line["seed"]))
        part.left_seconds += left or 0.0
        part.unknown += left is None
    return found


def part_rows(parts: dict[str, PartCost]) -> list[tuple[str, str, str, str, str]]:
    """Part, runs, done, time of those done, time of the rest, for a reader."""
    return [
        (name, str(cost.runs), str(cost.done), duration(cost.done_seconds), _left(cost))
        for name, cost in parts.items()
    ]


def gpu_hours(study: Study, plan: Plan) -> dict[str, tuple[int, float]]:
    """Part -> runs whose steps were measured, and their hours of one GPU."""
    found: dict[str, tuple[int, float]] = {}
    for job in plan.jobs:
        if job.work is not None and job.work.gpu_seconds is not None:
            part = part_of(study, job.key.table)
            count, hours = found.get(part, (0, 0.0))
            found[part] = (count + 1, hours + job.work.gpu_seconds / 3600)
    return found


def _left(cost: PartCost) -> str:
    known = duration(cost.left_seconds) if cost.runs > cost.done + cost.unknown else ""
    unknown = f"{cost.unknown} of unknown cost" if cost.unknown else ""
    return ", ".join(filter(None, (known, unknown))) or "–"
