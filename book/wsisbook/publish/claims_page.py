"""The claims board: every claim of the papers, our numbers, and three verdicts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from wsisbook.publish.markdown import escape, markdown_table, page_link
from wsisbook.tables.claims import MEANINGS, VERDICTS, JudgedClaim, Verdicts
from wsisbook.tables.gaps import RULE
from wsisbook.tables.published import load_sources

PAPER_TITLES = {
    "learning-to-segment-every-thing": "Learning to Segment Every Thing",
    "wish": "WISH",
}
NO_NUMBERS = "an order, no numbers"


def claims_page(judged: Verdicts, scale: str, root: Path) -> str:
    """The claims board in Markdown; `root` is the repository's.

    The first column of verdicts is of the runs at `scale`, the others of photographs and of the
    papers' own scale, as far as they were judged.
    """
    counts = Counter[str](item.verdict for item in judged)
    tally = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS)
    lines = [
        "# The claims board",
        "",
        "Every claim of the papers for which there is a source, and what our runs say to it. The "
        "[results](results.md) are the same in short. This page is generated from "
        "`papers/*/claims.yml` and the runs.",
        "",
        f"{len(judged)} claims, at the scale *{scale}*: {tally}.",
        "",
        "## How a claim is judged",
        "",
        RULE,
        "",
        *(f"- *{verdict}*: {MEANINGS[verdict]}." for verdict in VERDICTS),
        "",
        f"There are three verdicts. *{scale}* is that of the numbers in *ours*. *photo* is the "
        "same claim on [photographs](photographs.md), with its numbers; a dash where no table of "
        "photographs answers it. *paper* is the claim at the papers' own scale, where all tables "
        "are ready to run. At lab scale data, model and schedule are not the paper's: orders can "
        "be compared, absolute values cannot.",
    ]
    # Built at the papers' own scale, the first verdict is that of the last.
    head = ("claim", "published", "ours", scale, "photo", "paper", "shown in")
    kept = [n for n, name in enumerate(head) if name not in head[:n]]
    for paper in dict.fromkeys(item.claim.paper for item in judged):
        lines += ["", f"## {paper_title(paper)}", ""]
        rows = [_row(item, root) for item in judged if item.claim.paper == paper]
        lines += markdown_table([head[n] for n in kept], [[row[n] for n in kept] for row in rows])
        lines += ["", *_legend(paper, root)]
    return "\n".join(lines) + "\n"


def _row(item: JudgedClaim, root: Path) -> tuple[str, ...]:
    claim = item.claim
    said = "" if claim.title == claim.statement else f"**{escape(claim.title)}.** "
    return (
        said + escape(claim.statement) + f" *[{escape(claim.source)}]*",
        escape(item.published) or NO_NUMBERS,
        escape(item.ours) or "–",
        verdict_text(item) + (f" {escape(item.cause)}" if item.cause else ""),
        "–" if item.photo is None else _with_numbers(item.photo),
        "–" if item.paper is None else _with_numbers(item.paper),
        page_link(root / "book", item.notebook) if item.notebook else "no table yet",
    )


def verdict_text(judged: JudgedClaim) -> str:
    """The verdict in Markdown; what was not run is no verdict, so it is not in bold."""
    shown = judged.shown_verdict
    bold = shown if judged.verdict == "not run" else f"**{shown}**"
    return bold + (" (stale)" if judged.stale else "")


def _with_numbers(judged: JudgedClaim) -> str:
    """A verdict and its numbers, which have no column of their own."""
    return verdict_text(judged) + (f": {escape(judged.ours)}" if judged.ours else "")


def _legend(paper: str, root: Path) -> list[str]:
    """What the tags in square brackets stand for, and how far each can be trusted."""
    sources = load_sources(paper, root / "papers")
    rows = [
        (escape(line["tag"]), escape(line["what"]), escape(line["address"]) or "–",
         escape(line["standing"]) or "–")
        for line in sources.to_dict("records")
    ]  # fmt: skip
    lead = (
        "Tags in square brackets name the source that the claim or its number comes from "
        f"(`papers/{paper}/sources.csv`):"
    )
    return [lead, "", *markdown_table(("tag", "what it is", "where", "how far to trust it"), rows)]


def paper_title(paper: str) -> str:
    """The title of a paper by its folder's name."""
    return PAPER_TITLES.get(paper, paper.replace("-", " ").capitalize())
