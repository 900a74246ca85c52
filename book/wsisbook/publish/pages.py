"""The book's generated pages: results, claims, the status of runs and notebooks, costs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from wsisbook.plan.costs import Work, size
from wsisbook.plan.data_sources import DataFile
from wsisbook.plan.plan import Plan, data_needs, gpu_hours, make_plan, part_costs, part_rows
from wsisbook.plan.step_times import read_step_times
from wsisbook.publish.claims_page import claims_page
from wsisbook.publish.markdown import escape, markdown_table
from wsisbook.publish.reading_map import MAP, write_reading_map
from wsisbook.publish.results_page import results_page
from wsisbook.runs.declared import PHOTO, Study
from wsisbook.runs.paths import data_folder
from wsisbook.runs.state import notebook_frame, status_frame
from wsisbook.runs.stopwatch import duration
from wsisbook.runs.store import RunStore, open_store
from wsisbook.tables.claims import judge_claims
from wsisbook.tables.key_results import answer
from wsisbook.tables.tables import Results
from wsislib.atomic import atomic_write

PAPER_PAGE = "part1_transfer/paper_costs.inc"
GPUS = 8  # the authors'


def write_pages(
    study: Study, store: RunStore, scale: str, executed: Path, book: Path
) -> list[Path]:
    """Write results, claims and status as Markdown into the folder `book`; the files written.

    A study with a paper scale gets the part of `part1_transfer/paper_scale.md` that says what
    its runs take. `executed` is the folder of executed notebooks.
    """
    results = Results(study, store, scale)
    photo, paper = (_results_at(study, name) for name in (PHOTO, "paper"))
    judged = judge_claims(results, photo=photo, paper=paper)
    by_id = {one.claim.id: one for one in judged}
    answered = answer(results, photo, claims=by_id)
    pages = {
        "results.md": results_page(answered, scale, study.root),
        "claims.md": claims_page(judged, scale, study.root),
        "status.md": status_page(study, store, scale, executed),
    }
    if "paper" in study.scales:
        pages[PAPER_PAGE] = paper_costs(study)
    for name, text in pages.items():
        atomic_write(book / name, text)
    written = [book / name for name in pages]
    if (study.root / MAP).is_file():
        written += write_reading_map(study.root, book)
    return written


def _results_at(study: Study, scale: str) -> Results | None:
    """The results at a scale; None where the study has no such scale."""
    known = scale in study.scales
    return Results(study, open_store(scale, study.root), scale) if known else None


def status_page(study: Study, store: RunStore, scale: str, executed: Path) -> str:
    """The status of runs, those on photographs too, and of notebooks in Markdown."""
    notebooks = notebook_frame(executed)
    lines = [
        "# Status",
        "",
        f"Which runs this book stands on (scale: {scale}) and how its pages were executed. This "
        "page is generated.",
        "",
        "## Runs",
        "",
        *_runs(study, store, scale),
        "",
    ]
    if PHOTO in study.scales and scale != PHOTO:
        photo = open_store(PHOTO, study.root)
        lines += ["## Runs on photographs", "", *_runs(study, photo, PHOTO), ""]
    lines += ["## Notebooks", ""]
    facts = ("scale", "date", "machine", "versions")
    rows = [
        (
            line["notebook"],
            line["state"],
            _shown(line["seconds"], duration),
            *(_shown(line[key], escape) for key in facts),
        )
        for line in notebooks.to_dict("records")
    ]
    lines += markdown_table(("notebook", "state", "time", *facts), rows)
    return "\n".join(lines) + "\n"


def _runs(study: Study, store: RunStore, scale: str) -> list[str]:
    """How many runs of a scale there are, what they cost, and the state of each."""
    runs = status_frame(study, store, scale)
    counts = runs["state"].value_counts()
    tally = ", ".join(f"{count} {state}" for state, count in counts.items())
    rows = [
        (
            f"{line['table']}/{line['row']}/seed-{line['seed']}",
            line["state"] + (f": {escape(line['why'])}" if line["why"] else ""),
            _shown(line["seconds"], duration),
            _shown(line["peak_memory_mib"], "{:.0f}".format),
            escape(line["device"]),
            line["commit"],
            line["date"],
        )
        for line in runs.to_dict("records")
    ]
    head = ("run", "state", "time", "peak memory (MiB)", "device", "commit", "date")
    return [
        f"{len(runs)} runs: {tally or 'none'}; "
        f"{duration(float(runs['seconds'].fillna(0).sum()))} of work in all.",
        "",
        *markdown_table(
            ("part", "runs", "done", "time of those done", "time of the rest, expected"),
            part_rows(part_costs(study, store, scale, runs)),
        ),
        "",
        "Times are of one worker, which has one core; *N* workers share them.",
        "",
        *markdown_table(head, rows),
    ]


def paper_costs(study: Study) -> str:
    """Tables of all runs at paper scale, whether they were done or not, and of their files."""
    plan = make_plan(study, open_store("paper", study.root), "paper", force=True)
    head = ("steps", "GPU hours", f"on {GPUS} GPUs", "on one core", "weights")
    machines = dict.fromkeys((step.machine, step.date) for step in read_step_times(study.root))
    kept, training = plan.disk
    parts = gpu_hours(study, plan).items()
    costs = [(escape(str(job.key)), *_cells(job.work)) for job in plan.jobs]
    lines = [
        *markdown_table(("run", *head, "disk while it trains"), costs),
        "",
        f"All {len(plan.jobs)} runs: {plan.gpu_seconds / 3600:,.0f} GPU hours, that is "
        f"{duration(plan.gpu_seconds / GPUS)} on {GPUS} GPUs, one run after the other. "
        f"{size(kept)} of weights stay, and {size(training)} more are needed while a run trains.",
        "",
        *markdown_table(
            ("part", "runs with measured steps", "GPU hours"),
            [(part, str(n), f"{hours:,.0f}") for part, (n, hours) in parts],
        ),
        *_unmeasured(plan),
        "",
        *(f"- Measured on {date}: {escape(machine)}." for machine, date in machines),
        *(f"- Time on a GPU, roughly: {escape(source)}." for source in plan.gpu_sources()),
        "",
        *_files(study, data_needs(study, plan)),
    ]
    return "\n".join(lines) + "\n"


def _cells(work: Work | None) -> tuple[str, ...]:
    if work is None:
        return ("–",) * 6
    return (
        f"{work.steps:,} x {work.images_per_step}",
        _shown(work.gpu_seconds, lambda seconds: f"{seconds / 3600:,.0f}"),
        _shown(work.gpu_seconds, lambda seconds: duration(seconds / GPUS)),
        _shown(work.core_seconds, duration),
        size(work.weights_bytes),
        size(work.training_bytes),
    )


def _unmeasured(plan: Plan) -> list[str]:
    """What a reader must know about rows whose own steps were not measured."""
    missing = ", ".join(str(job.key) for job in plan.jobs if job.work is None)
    without = f"Without training, or without a step that was measured: {escape(missing)}."
    notes = [without] if missing else []
    for job in plan.jobs:
        if job.work is not None and job.work.differs:
            near, what = escape(job.work.measured), ", ".join(job.work.differs)
            notes.append(f"{escape(str(job.key))} by {near}: it differs in {what}.")
    return ["", " ".join(notes)] if notes else []


def _files(study: Study, files: list[DataFile]) -> list[str]:
    """The files that the runs read, with names as a reader has to lay them."""
    folder, rows = data_folder(study.root), []
    for file in files:
        inside = file.path.is_relative_to(folder)
        name = str(file.path.relative_to(folder)) if inside else f"torch's cache: {file.path.name}"
        of = file.source
        where = ("–", "–") if of is None else (size(of.unpacked), f"<{of.address}>")
        rows.append((escape(name), *where))
    return markdown_table(("file or folder", "on disk", "from"), rows)


def _shown(value: Any, form: Callable[[Any], str]) -> str:
    """`form(value)`, or a dash where there is no value."""
    return "–" if value is None or value == "" or pd.isna(value) else form(value)
