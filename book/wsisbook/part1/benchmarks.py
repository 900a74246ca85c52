"""Recorded benchmarks, for pages that show what something costs."""

from __future__ import annotations

from typing import Any

from wsisbook.runs.paths import repository_root
from wsislib.atomic import read_json


def benchmark_rows(name: str) -> tuple[list[dict[str, Any]], str]:
    """The rows of benchmarks/results/<name>.json and, in one line, where they were measured.

    Without such a file the rows are empty.
    """
    file = repository_root() / "benchmarks" / "results" / f"{name}.json"
    if not file.is_file():
        return [], f"benchmark {name} was not run"
    content = read_json(file)
    machine = content["machine"]
    place = machine["gpu"] or f"{machine['processor']}, {machine['torch_threads']} thread(s)"
    return content["rows"], f"{place}, torch {machine['libraries']['torch']}, {content['date']}"
