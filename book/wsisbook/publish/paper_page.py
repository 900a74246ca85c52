"""What every row of the study takes at paper scale, as Markdown for the book."""

from __future__ import annotations

from wsisbook.plan.costs import Work
from wsisbook.plan.data_sources import DataFile
from wsisbook.plan.disk import size
from wsisbook.plan.part_costs import gpu_hours
from wsisbook.plan.plan import Plan, data_needs, make_plan
from wsisbook.plan.step_times import StepTime, read_step_times
from wsisbook.publish.generate import escape, markdown_table
from wsisbook.runs.declared import Study
from wsisbook.runs.paths import data_folder
from wsisbook.runs.stopwatch import duration
from wsisbook.runs.store import open_store

PAGE = "part1_transfer/paper_costs.inc"
GPUS = 8  # the authors'


def paper_costs(study: Study) -> str:
    """Tables of all runs at paper scale, whether they were done or not, and of their files."""
    plan = make_plan(study, open_store("paper", study.root), "paper", force=True)
    works = [job.work for job in plan.jobs if job.work is not None]
    lines = markdown_table(
        (
            "run", "steps", "GPU hours", f"on {GPUS} GPUs", "on one core", "weights",
            "disk while it trains",
        ),
        [(escape(str(job.key)), *_cells(job.work)) for job in plan.jobs],
    )  # fmt: skip
    kept, training = plan.disk
    lines += [
        "",
        f"All {len(plan.jobs)} runs: {plan.gpu_seconds / 3600:,.0f} GPU hours, that is "
        f"{duration(plan.gpu_seconds / GPUS)} on {GPUS} GPUs, one run after the other. "
        f"{size(kept)} of weights stay, and {size(training)} more are needed while a run trains.",
        "",
        *markdown_table(
            ("part", "runs with measured steps", "GPU hours"),
            [
                (part, str(count), f"{hours:,.0f}")
                for part, (count, hours) in gpu_hours(study, plan).items()
            ],
        ),
        *_unmeasured(plan),
        "",
        *_sources(works, read_step_times(study.root)),
        "",
        *_files(study, data_needs(study, plan)),
    ]
    return "\n".join(lines) + "\n"


def _cells(work: Work | None) -> tuple[str, ...]:
    if work is None:
        return ("–",) * 6
    gpu = work.gpu_seconds
    return (
        f"{work.steps:,} x {work.images}",
        "–" if gpu is None else f"{gpu / 3600:,.0f}",
        "–" if gpu is None else duration(gpu / GPUS),
        "–" if work.core_seconds is None else duration(work.core_seconds),
        size(work.room.weights),
        size(work.room.training),
    )


def _unmeasured(plan: Plan) -> list[str]:
    """What a reader must know about rows whose own steps were not measured."""
    said = []
    missing = [str(job.key) for job in plan.jobs if job.work is None]
    if missing:
        said.append(
            f"Without training, or without a step that was measured: {escape(', '.join(missing))}."
        )
    near = [job for job in plan.jobs if job.work is not None and job.work.differs]
    for job in near:
        assert job.work is not None
        what = ", ".join(job.work.differs)
        said.append(f"{escape(str(job.key))} by {escape(job.work.measured)}: it differs in {what}.")
    return ["", " ".join(said)] if said else []


def _sources(works: list[Work], steps: list[StepTime]) -> list[str]:
    """Where the times come from."""
    lines = []
    machines = dict.fromkeys((step.machine, step.date) for step in steps)
    for machine, date in machines:
        lines.append(f"- Measured on {date}: {escape(machine)}.")
    sources = dict.fromkeys(work.gpu_source for work in works if work.gpu_seconds is not None)
    return lines + [f"- Time on a GPU, roughly: {escape(source)}." for source in sources]


def _files(study: Study, files: list[DataFile]) -> list[str]:
    """The files that the runs read, with names as a reader has to lay them."""
    folder, rows = data_folder(study.root), []
    for file in files:
        inside = file.path.is_relative_to(folder)
        name = str(file.path.relative_to(folder)) if inside else f"torch's cache: {file.path.name}"
        source = file.source
        rows.append(
            (
                escape(name),
                "–" if source is None else size(source.unpacked),
                "–" if source is None else f"<{source.address}>",
            )
        )
    return markdown_table(("file or folder", "on disk", "from"), rows)
