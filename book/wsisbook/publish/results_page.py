"""The Results page: a reader's questions, each with an answer, its claims and the page behind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wsisbook.publish.claims_page import NO_NUMBERS, verdict_text
from wsisbook.publish.markdown import escape, markdown_table, page_link
from wsisbook.tables.claims import JudgedClaim
from wsisbook.tables.gaps import RULE
from wsisbook.tables.key_results import AnsweredQuestion

HEAD = ("claim", "the paper's number", "verdict", "our numbers", "on photographs", "page")


def results_page(answered: Sequence[AnsweredQuestion], scale: str, root: Path) -> str:
    """The page in Markdown; `root` is the repository's. Each question has an anchor of its own."""
    lines = [
        "# Results",
        "",
        "*What do our runs say, in one page?*",
        "",
        "Each question has its answer in sentences, then one line for each claim of the papers "
        "that belongs to it. Every number of ours was computed from recorded runs; the page behind "
        "a question has the whole table, and what the paper did otherwise.",
        "",
        *_contents(answered),
        "",
        ":::{admonition} How to read the numbers",
        ":class: note",
        "",
        f"Our numbers are of the scale *{scale}*, where data, model and schedule are not the "
        "papers': orders can be compared, absolute values cannot. They are means ± standard "
        "deviations over seeds; a line with arrows has the means in the claim's order, from the "
        "row that should be lowest, and behind them the gaps with their intervals in square "
        f"brackets. {RULE} The [claims board](claims.md) lists what each verdict means. "
        "[Photographs](photographs.md) says what the numbers on photographs are.",
        ":::",
    ]
    part = ""
    for one in answered:
        if one.question.part != part:
            part = one.question.part
            lines += ["", f"## {escape(part)}"]
        lines += ["", *_question(one, root)]
    return "\n".join(lines) + "\n"


def _contents(answered: Sequence[AnsweredQuestion]) -> list[str]:
    return [f"- [{escape(one.question.question)}](#{_anchor(one)})" for one in answered]


def _anchor(one: AnsweredQuestion) -> str:
    return f"result-{one.question.anchor}"


def _question(one: AnsweredQuestion, root: Path) -> list[str]:
    page = page_link(root / "book", one.question.page)
    lines = [f"({_anchor(one)})=", f"### {escape(one.question.question)}", ""]
    lines += [f"- {_bold(line)}" for line in (*one.here, *one.photo)]
    if not one.claims:
        return [*lines, f"- The whole table: {page}."]
    rows = [_row(claim, page, root) for claim in one.claims]
    causes = dict.fromkeys(claim.cause for claim in one.claims if claim.cause)
    why = [f"*Other cause*: {escape(cause)}" for cause in causes]
    return [*lines, "", *markdown_table(HEAD, rows), *(line for one in why for line in ("", one))]


def _row(judged: JudgedClaim, page: str, root: Path) -> tuple[str, ...]:
    own = page_link(root / "book", judged.notebook) if judged.notebook else page
    photo = "–"
    if judged.photo is not None:
        numbers = _numbers(judged.photo)
        photo = verdict_text(judged.photo) + (f": {numbers}" if numbers else "")
    return (
        escape(judged.claim.title),
        escape(judged.published) or NO_NUMBERS,
        verdict_text(judged),
        _numbers(judged) or "–",
        photo,
        own,
    )


def _numbers(judged: JudgedClaim) -> str:
    """'10.4 → 14.9, gap +4.5 [+3.2, +5.8]', one after the other where there are directions."""
    parts = []
    for chain in judged.chains:
        if chain.short:
            gap = f", gap {chain.gaps_text}" if chain.gaps else ""
            parts.append(escape(f"{chain.short}{gap}"))
    return "; ".join(parts)


def _bold(text: str) -> str:
    """A sentence in Markdown: what stands between `**` is bold, all else is as it is."""
    return "**".join(escape(part) for part in text.split("**"))
