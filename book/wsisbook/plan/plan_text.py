"""A plan in words, and as JSON for machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wsisbook.plan.costs import NO_TRAINING
from wsisbook.plan.disk import size
from wsisbook.runs.stopwatch import duration

if TYPE_CHECKING:
    from wsisbook.plan.data_sources import DataFile
    from wsisbook.plan.plan import Job, Plan


_MEASURED = "measured steps"


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
