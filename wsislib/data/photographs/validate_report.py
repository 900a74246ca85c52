"""What a data set's check found: problems with their place and their remedy."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Literal

Severity = Literal["error", "warning"]

SHOWN_PER_CODE = 50
"""Problems of one code that the text lists; the JSON always lists all."""


@dataclass(frozen=True)
class Place:
    """Where a problem is: a file and, where they are concerned, an image and an annotation."""

    file: str
    image_id: int | None = None
    annotation_id: int | None = None

    def error(self, code: str, message: str, remedy: str) -> Problem:
        """A problem here that stops training."""
        ids = (self.image_id, self.annotation_id)
        return Problem("error", self.file, *ids, code, message, remedy)

    def warning(self, code: str, message: str, remedy: str) -> Problem:
        """A problem here that training can live with."""
        ids = (self.image_id, self.annotation_id)
        return Problem("warning", self.file, *ids, code, message, remedy)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        severity: errors stop training, warnings do not.
        file: where it is.
        image_id: the image's id, where one is concerned.
        annotation_id: the annotation's id, where one is concerned.
        code: short name of the kind of problem, for machines.
        message: what is wrong, with the values found.
        remedy: how to mend it.
    """

    severity: Severity
    file: str
    image_id: int | None
    annotation_id: int | None
    code: str
    message: str
    remedy: str

    def place(self) -> str:
        """File and ids, as a reader would look for them."""
        parts = [self.file]
        if self.image_id is not None:
            parts.append(f"image {self.image_id}")
        if self.annotation_id is not None:
            parts.append(f"annotation {self.annotation_id}")
        return ", ".join(parts)

    def order(self) -> tuple[bool, str, int, int, str, str]:
        """Sorting key: errors first, then by code and place."""
        return (
            self.severity != "error",
            self.code,
            -1 if self.image_id is None else self.image_id,
            -1 if self.annotation_id is None else self.annotation_id,
            self.file,
            self.message,
        )


@dataclass(frozen=True)
class Report:
    """The outcome of checking one data set.

    Attributes:
        source: the annotation file or folder that was checked.
        images: images that it declares.
        annotations: annotations that it declares.
        problems: sorted, errors first.
    """

    source: str
    images: int = 0
    annotations: int = 0
    problems: list[Problem] = field(default_factory=list)

    @classmethod
    def of(
        cls, source: str, problems: Iterable[Problem], images: int = 0, annotations: int = 0
    ) -> Report:
        """A report with its problems sorted."""
        return cls(source, images, annotations, sorted(problems, key=Problem.order))

    @property
    def errors(self) -> list[Problem]:
        """The problems that stop training."""
        return [problem for problem in self.problems if problem.severity == "error"]

    @property
    def may_train(self) -> bool:
        """True where no problem is an error."""
        return not self.errors

    def to_json(self) -> str:
        """The whole report as one JSON object."""
        counts = {name: _count(self.problems, name) for name in ("error", "warning")}
        content = {
            "source": self.source,
            "may_train": self.may_train,
            "images": self.images,
            "annotations": self.annotations,
            "errors": counts["error"],
            "warnings": counts["warning"],
            "problems": [asdict(problem) for problem in self.problems],
        }
        return json.dumps(content, indent=2)

    def text(self) -> str:
        """The report for a reader, grouped by severity and code."""
        lines = [
            f"{self.source}: {_many(self.images, 'image')}, "
            f"{_many(self.annotations, 'annotation')}, "
            f"{_many(_count(self.problems, 'error'), 'error')}, "
            f"{_many(_count(self.problems, 'warning'), 'warning')}"
        ]
        for severity, group in groupby(self.problems, key=lambda problem: problem.severity):
            lines += ["", "Errors" if severity == "error" else "Warnings"]
            for code, members in groupby(group, key=lambda problem: problem.code):
                lines += _group_lines(code, list(members))
        verdict = (
            "Training may start."
            if self.may_train
            else "Training may not start before the errors are mended."
        )
        return "\n".join([*lines, "", verdict])


def require_trainable(report: Report) -> None:
    """Refuse to train on a data set with errors.

    Raises:
        ValueError: with the whole report as its message.
    """
    if not report.may_train:
        raise ValueError(report.text())


def _group_lines(code: str, problems: list[Problem]) -> list[str]:
    lines = [f"  {code} ({len(problems)})"]
    for problem in problems[:SHOWN_PER_CODE]:
        lines.append(f"    {problem.place()}: {problem.message}")
        lines.append(f"      mend: {problem.remedy}")
    if len(problems) > SHOWN_PER_CODE:
        lines.append(f"    and {len(problems) - SHOWN_PER_CODE} more; --json lists all")
    return lines


def _count(problems: Iterable[Problem], severity: str) -> int:
    return sum(problem.severity == severity for problem in problems)


def _many(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
