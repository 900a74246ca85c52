"""The box at the top of a table page: its questions, answered from runs, and its verdicts."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass

from wsisbook.tables.claims import JudgedClaim, judge_claims
from wsisbook.tables.questions import Question, load_questions, sentence, was_run
from wsisbook.tables.tables import Results
from wsislib.strict import did_you_mean

TITLE = "Key results"
# JupyterLab has no style for admonitions; on the site the theme's own is stronger.
LOOK = "border-left: 0.2rem solid #2e7d5b; padding: 0 0.8rem 0.4rem; margin: 1rem 0"
PHOTO_WAITS = "On photographs: not run yet."


@dataclass(frozen=True)
class AnsweredQuestion:
    """A question with its sentences, in which `**` stands around what is bold."""

    question: Question
    here: tuple[str, ...]  # at the scale of the page
    photo: tuple[str, ...]  # on photographs; one that says so where none was run; empty without any
    claims: tuple[JudgedClaim, ...]


@dataclass(frozen=True)
class KeyResults:
    """The questions of a page with their answers; shown at the end of a cell."""

    answered: tuple[AnsweredQuestion, ...]
    scale: str

    def _repr_html_(self) -> str:
        parts = []
        for one in self.answered:
            lines = [as_html(line) for line in (*one.here, *one.photo)]
            lines += [as_html(claim_line(claim)) for claim in one.claims]
            inner = "".join(f"<li>{line}</li>" for line in lines)
            asked = html.escape(one.question.question)
            parts.append(f"<p><strong>{asked}</strong></p><ul>{inner}</ul>")
        return (
            f'<div class="admonition tip key-results" style="{LOOK}">'
            f'<p class="admonition-title">{TITLE}, {html.escape(self.scale)} scale</p>'
            f"{''.join(parts) or '<p>No question names this page.</p>'}</div>"
        )

    def __repr__(self) -> str:
        lines = [f"{TITLE}, {self.scale} scale"]
        for one in self.answered:
            lines += ["", one.question.question]
            lines += [f"- {line}" for line in (*one.here, *one.photo)]
            lines += [f"- {claim_line(claim)}" for claim in one.claims]
        return "\n".join(lines).replace("**", "")


def answer(
    results: Results,
    photo: Results | None,
    page: str = "",
    claims: Mapping[str, JudgedClaim] | None = None,
) -> tuple[AnsweredQuestion, ...]:
    """The questions that name `page` (all of the book without one), answered from runs.

    `photo` are the results at the scale `photo`, None where the study has none. `claims` are judged
    claims by id, for callers that have them.

    Raises ValueError for a claim that no paper makes; a wrong table, row or column is named too.
    """
    book = results.study.file.parent
    questions = [one for one in load_questions(book) if page in ("", one.page)]
    if claims is None:
        named = {name for one in questions for name in one.claims}
        judged = judge_claims(results, photo=photo, only=named)
        claims = {one.claim.id: one for one in judged}
    return tuple(_answered(results, photo, one, claims) for one in questions)


def _answered(
    results: Results, photo: Results | None, one: Question, claims: Mapping[str, JudgedClaim]
) -> AnsweredQuestion:
    for name in one.claims:
        if name not in claims:
            hint = did_you_mean(name, claims)
            raise ValueError(f"questions.yml: {one.anchor!r}: no claim {name!r}{hint}")
    here = tuple(sentence(results, answer) for answer in one.answers)
    seen: tuple[str, ...] = ()
    if photo is not None and one.photo:
        done = [answer for answer in one.photo if was_run(photo, answer)]
        seen = tuple(f"On photographs: {sentence(photo, answer)}" for answer in done)
        seen = seen or (PHOTO_WAITS,)
    return AnsweredQuestion(one, here, seen, tuple(claims[name] for name in one.claims))


def claim_line(judged: JudgedClaim) -> str:
    """Return a claim's title, verdict and verdict on photographs as a sentence."""
    photo = "" if judged.photo is None else f"; on photographs: {judged.photo.shown_verdict}"
    cause = f" {judged.cause}" if judged.cause else ""
    return f"Claim “{judged.claim.title}”: **{judged.shown_verdict}**{photo}.{cause}"


def as_html(text: str) -> str:
    """A sentence as HTML; what stands between `**` is bold."""
    parts = html.escape(text, quote=False).split("**")
    return "".join(f"<strong>{p}</strong>" if n % 2 else p for n, p in enumerate(parts))
