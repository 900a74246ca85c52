"""Which runs are to be done, in which order, and what they will cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wsisbook.plan.costs import NO_TRAINING, Cost, Work, expected_cost, expected_work
from wsisbook.plan.data_sources import DataFile, backbone_weights, data_file_at
from wsisbook.plan.plan_text import plan_text
from wsisbook.plan.step_times import GpuRate, StepTime, gpu_rate, read_step_times
from wsisbook.runs.declared import RunKey, Study
from wsisbook.runs.paths import data_folder
from wsisbook.runs.resolve import keys_of, resolve, with_needs
from wsisbook.runs.state import RunState, run_state
from wsisbook.runs.store import RunStore


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
