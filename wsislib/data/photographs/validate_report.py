"""The outcome of checking a data set: problems with their location and their remedy."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from typing import Literal

Severity = Literal["error", "warning"]

SHOWN_PER_CODE = 50  # problems of one code that the text lists; the JSON always lists all


@dataclass(frozen=True)
class Location:
    """A file and, where they are concerned, ids of an image and of an annotation."""

    file: str
    image_id: int | None = None
    annotation_id: int | None = None

    def error(self, code: str, message: str, remedy: str) -> Problem:
        """A problem here that stops training."""
        ids = (self.image_id, self.annotation_id)
        return Problem("error", self.file, *ids, code, message, remedy)

    def warning(self, code: str, message: str, remedy: str) -> Problem:
        """A problem here that does not."""
        return replace(self.error(code, message, remedy), severity="warning")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, as the JSON report has it."""

    severity: Severity  # errors stop training, warnings do not
    file: str
    image_id: int | None  # None where no image is concerned
    annotation_id: int | None
    code: str  # short name of the kind of problem, for machines
    message: str  # what is wrong, with the values
    remedy: str  # how to mend it

    def where(self) -> str:
        """File and ids, as a reader would look for them."""
        image = "" if self.image_id is None else f", image {self.image_id}"
        annotation = "" if self.annotation_id is None else f", annotation {self.annotation_id}"
        return f"{self.file}{image}{annotation}"

    def order(self) -> tuple[bool, str, int, int, str, str]:
        """Sorting key: errors first, then by code and location."""
        image = -1 if self.image_id is None else self.image_id
        annotation = -1 if self.annotation_id is None else self.annotation_id
        severe = self.severity != "error"
        return (severe, self.code, image, annotation, self.file, self.message)


@dataclass(frozen=True)
class Report:
    """The outcome of checking one data set."""

    source: str  # the annotation file or folder that was checked
    images: int = 0  # how many it declares
    annotations: int = 0
    problems: list[Problem] = field(default_factory=list)  # sorted, errors first

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
        content = {
            "source": self.source,
            "may_train": self.may_train,
            "images": self.images,
            "annotations": self.annotations,
            "errors": len(self.errors),
            "warnings": len(self.problems) - len(self.errors),
            "problems": [asdict(problem) for problem in self.problems],
        }
        return json.dumps(content, indent=2)

    def text(self) -> str:
        """The report for a reader, grouped by severity and code."""
        errors = len(self.errors)
        counts = {"image": self.images, "annotation": self.annotations, "error": errors}
        counts["warning"] = len(self.problems) - errors
        parts = (f"{count} {thing}{'' if count == 1 else 's'}" for thing, count in counts.items())
        lines = [f"{self.source}: {', '.join(parts)}"]
        for severity, group in groupby(self.problems, key=lambda problem: problem.severity):
            lines += ["", "Errors" if severity == "error" else "Warnings"]
            for code, members in groupby(group, key=lambda problem: problem.code):
                lines += _group_lines(code, list(members))
        verdict = "Training may not start before the errors are mended."
        verdict = "Training may start." if self.may_train else verdict
        return "\n".join([*lines, "", f"{verdict} {self.counts()}."])

    def counts(self) -> str:
        """How many errors and warnings there are, by kind."""
        found = Counter((problem.severity, problem.code) for problem in self.problems)
        parts = []
        for severity in ("error", "warning"):
            kinds = [f"{n} {code}" for (of, code), n in found.items() if of == severity]
            number = sum(n for (of, _), n in found.items() if of == severity)
            said = f"{number} {severity}{'' if number == 1 else 's'}"
            parts.append(said + (f" ({', '.join(kinds)})" if kinds else ""))
        return ", ".join(parts)

    def summary(self) -> str:
        """For a command that goes on: an example of each kind of warning, then the counts."""
        lines = []
        for _, group in groupby(self.problems, key=lambda one: (one.severity, one.code)):
            first = next(group)
            lines.append(f"{first.severity}: {first.where()}: {first.message}; {first.remedy}")
        more = "; `wsis data check` lists them all" if lines else ""
        return "\n".join([*lines, f"{self.source}: {self.counts()}{more}"])


def require_trainable(report: Report) -> None:
    """Raise a ValueError whose message is the whole report where the data set has errors."""
    if not report.may_train:
        raise ValueError(report.text())


def _group_lines(code: str, problems: list[Problem]) -> list[str]:
    lines = [f"  {code} ({len(problems)})"]
    for problem in problems[:SHOWN_PER_CODE]:
        lines.append(f"    {problem.where()}: {problem.message}")
        lines.append(f"      mend: {problem.remedy}")
    if len(problems) > SHOWN_PER_CODE:
        lines.append(
            f"    and {len(problems) - SHOWN_PER_CODE} more; `wsis data check --json` lists all"
        )
    return lines
