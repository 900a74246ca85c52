"""The book's generated pages: the claims board and the status of runs and notebooks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from wsisbook.plan.part_costs import part_costs, part_rows
from wsisbook.runs.declared import Study
from wsisbook.runs.status import notebook_frame, status_frame
from wsisbook.runs.stopwatch import duration
from wsisbook.runs.store import RunStore
from wsisbook.tables.claims import FORMULA, Judged, judge_claims
from wsislib.atomic import atomic_write

_VERDICTS = ("reproduced", "within noise", "not reproduced", "not run")


def write_pages(
    study: Study, store: RunStore, scale: str, executed: Path, book: Path
) -> list[Path]:
    """Write `claims.md` and `status.md` into the folder `book`; the files that were written.

    A study with a paper scale gets the part of `part1_transfer/paper_scale.md` that says what
    its runs take.

    Args:
        study: the study.
        store: whose runs to show.
        scale: the store's scale.
        executed: folder of executed notebooks.
        book: the book's folder, in which the pages that are linked to lie.
    """
    pages = {
        "claims.md": claims_page(judge_claims(study, store, scale), scale),
        "status.md": status_page(study, store, scale, executed),
    }
    if "paper" in study.scales:
        from wsisbook.publish.paper_page import PAGE, paper_costs

        pages[PAGE] = paper_costs(study)
    for name, text in pages.items():
        atomic_write(book / name, text)
    return [book / name for name in pages]


def claims_page(judged: Sequence[Judged], scale: str) -> str:
    """The claims board in Markdown."""
    counts = Counter[str](item.verdict for item in judged)
    tally = ", ".join(f"{counts[verdict]} {verdict}" for verdict in _VERDICTS)
    lines = [
        "# The claims board",
        "",
        "Every claim of the papers for which there is a source, and what our runs say to it "
        f"(scale: {scale}). This page is generated from `papers/*/claims.yml` and the runs.",
        "",
        f"{len(judged)} claims: {tally}.",
        "",
        "A gap counts when it is larger than two pooled standard deviations, that is 2 s with "
        f"{FORMULA}. *Within noise* means that no gap counts against the claim, and not every "
        "gap that it needs counts for it. At lab scale data, model and schedule are not the "
        "paper's: orders can be compared, absolute values cannot.",
    ]
    for paper, items in _by_paper(judged):
        lines += ["", f"## {_title(paper)}", ""]
        rows = [
            (
                escape(item.claim.statement) + f" *[{escape(item.claim.source)}]*",
                escape(item.published) or "an order, no numbers",
                escape(item.ours) or "–",
                f"**{item.verdict}**" + (" (stale)" if item.stale else ""),
                _notebook_link(item),
            )
            for item in items
        ]
        lines += markdown_table(("claim", "published", "ours", "verdict", "shown in"), rows)
    return "\n".join(lines) + "\n"


def _by_paper(judged: Sequence[Judged]) -> list[tuple[str, list[Judged]]]:
    papers = dict.fromkeys(item.claim.paper for item in judged)
    return [(paper, [item for item in judged if item.claim.paper == paper]) for paper in papers]


def _title(paper: str) -> str:
    words = paper.replace("-", " ")
    return words.upper() if len(words) <= 4 else words.capitalize()


def _notebook_link(item: Judged) -> str:
    return f"[notebook]({item.notebook}.ipynb)" if item.notebook else "no table yet"


def status_page(study: Study, store: RunStore, scale: str, executed: Path) -> str:
    """The status of runs and notebooks in Markdown."""
    runs, notebooks = status_frame(study, store, scale), notebook_frame(executed)
    counts = runs["state"].value_counts()
    tally = ", ".join(f"{count} {state}" for state, count in counts.items())
    lines = [
        "# Status",
        "",
        f"Which runs this book stands on (scale: {scale}) and how its pages were executed. This "
        "page is generated.",
        "",
        "## Runs",
        "",
        f"{len(runs)} runs: {tally or 'none'}; "
        f"{duration(float(runs['seconds'].fillna(0).sum()))} of work in all.",
        "",
        *_part_table(study, store, scale, runs),
        "",
    ]
    lines += markdown_table(
        ("run", "state", "time", "peak memory (MiB)", "device", "commit", "date"),
        [
            (
                f"{line['table']}/{line['row']}/seed-{line['seed']}",
                line["state"] + (f": {escape(line['why'])}" if line["why"] else ""),
                _time(line["seconds"]),
                _number(line["peak_memory_mib"]),
                escape(line["device"]),
                line["commit"],
                line["date"],
            )
            for line in runs.to_dict("records")
        ],
    )
    lines += ["", "## Notebooks", ""]
    lines += markdown_table(
        ("notebook", "state", "time", "scale", "date", "machine", "versions"),
        [
            (
                line["notebook"],
                line["state"],
                _time(line["seconds"]),
                *(_text(line[name]) for name in ("scale", "date", "machine", "versions")),
            )
            for line in notebooks.to_dict("records")
        ],
    )
    return "\n".join(lines) + "\n"


def _part_table(study: Study, store: RunStore, scale: str, runs: pd.DataFrame) -> list[str]:
    """What each part of the book costs."""
    head = ("part", "runs", "done", "time of those done", "time of the rest, expected")
    return [
        *markdown_table(head, part_rows(part_costs(study, store, scale, runs))),
        "",
        "Times are of one worker, which has one core; *N* workers share them.",
    ]


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table; cells are Markdown already."""
    body = [f"| {' | '.join(row)} |" for row in rows]
    if not body:
        return ["None."]
    return [f"| {' | '.join(head)} |", "|" + " --- |" * len(head), *body]


def escape(text: str) -> str:
    """`text` so that Markdown shows it as it is."""
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>#|$^~" else letter for letter in text)


def _time(seconds: float | None) -> str:
    return "–" if seconds is None or pd.isna(seconds) else duration(seconds)


def _number(value: float | None) -> str:
    return "–" if value is None or pd.isna(value) else f"{value:.0f}"


def _text(value: object) -> str:
    return escape(value) if isinstance(value, str) and value else "–"
