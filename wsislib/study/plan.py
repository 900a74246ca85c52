"""Which runs are to be done, in which order, and what they will cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wsislib.study.costs import Cost, duration, expected_cost
from wsislib.study.declared import RunKey, Study
from wsislib.study.paths import data_folder
from wsislib.study.resolve import keys_of, resolve, with_needs
from wsislib.study.state import RunState, run_state
from wsislib.study.store import RunStore


@dataclass(frozen=True)
class Job:
    """One run to be done.

    Attributes:
        key: its name.
        why: the state that makes it to be done.
        needs: the jobs of the same plan that must end before.
        cost: what it will cost.
    """

    key: RunKey
    why: RunState
    needs: tuple[RunKey, ...]
    cost: Cost


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
        """How many jobs' cost is not known."""
        return sum(job.cost.seconds is None for job in self.jobs)

    def text(self, workers: int = 1) -> str:
        """What will be done and what it will cost, for a reader."""
        if not self.jobs:
            return f"nothing to do: {self.standing} run(s) stand"
        lines = [
            f"  {job.key}  {job.why.state}{f' ({job.why.why})' if job.why.why else ''}: "
            f"{duration(job.cost.seconds)}"
            + (f", by {job.cost.source}" if job.cost.seconds is not None else "")
            for job in self.jobs
        ]
        known = len(self.jobs) - self.unknown
        total = f"{len(self.jobs)} run(s) to do, {self.standing} stand already"
        if known:
            share = self.seconds / max(1, min(workers, len(self.jobs)))
            total += f"; {duration(self.seconds)} of work, about {duration(share)} on {workers}"
            total += " worker(s)"
        if self.unknown:
            total += f"; cost unknown for {self.unknown}"
        return "\n".join([*lines, total])


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
    jobs = tuple(
        Job(
            key,
            todo[key],
            tuple(need for need in resolve(study, key).needs.values() if need in todo),
            expected_cost(study, store, key),
        )
        for key in ordered
    )
    return Plan(jobs, len([key for key in asked if key not in todo]))


def data_needs(study: Study, plan: Plan) -> list[tuple[str, bool]]:
    """Each data file or folder that the plan's jobs read, and whether it is there."""
    folder = data_folder(study.root)
    names: dict[str, None] = {}
    for job in plan.jobs:
        run = resolve(study, job.key)
        names.update(dict.fromkeys(name for name in run.experiment.files(run.config) if name))
    return [(str(folder / name), (folder / name).exists()) for name in names]
