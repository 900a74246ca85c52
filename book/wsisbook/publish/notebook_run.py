"""Executes one notebook in a process of its own: `python -m wsisbook.publish.notebook_run JOB`.

JOB is a JSON file: input, output, folder, parameters, inputs (a digest). The output appears,
whole, only when every cell has run. Exit code 1 and `<JOB>.error` say which cell failed.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from wsisbook.batch.processes import stop_when_orphaned
from wsisbook.runs.environment import library_versions, machine_text
from wsisbook.runs.paths import without_paths
from wsisbook.runs.store import now
from wsislib.atomic import atomic_write, read_json


class NotebookFailedError(RuntimeError):
    """A cell raised, or was never run."""


def execute_notebook(job: dict[str, Any], scratch: Path) -> None:
    """Execute `job["input"]` and write `job["output"]`.

    Args:
        job: input, output, folder (the kernel's), parameters, inputs.
        scratch: folder for the notebook while it is being executed.

    Raises:
        NotebookFailedError: names the cell; the half-executed notebook stays in `scratch`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import papermill
        from papermill.exceptions import PapermillExecutionError

    half = scratch / "notebook.ipynb"
    started = time.monotonic()
    try:
        papermill.execute_notebook(
            job["input"], str(half), job["parameters"], cwd=job["folder"], kernel_name="python3",
            progress_bar=False, log_output=False,
        )  # fmt: skip
    except PapermillExecutionError as error:
        raise NotebookFailedError(
            f"the cell {_first_line(error.source)!r} raised {error.ename}: {error.evalue}"
        ) from None
    except Exception as error:
        raise NotebookFailedError(f"{type(error).__name__}: {error}") from None
    notebook = read_json(half)
    require_executed(notebook)
    notebook["metadata"].pop("papermill", None)
    notebook["metadata"]["wsis"] = {
        "state": "done",
        "seconds": round(time.monotonic() - started, 1),
        "date": now(),
        "machine": machine_text(),
        "versions": library_versions(),
        "parameters": job["parameters"],
        "inputs": job["inputs"],
    }
    atomic_write(Path(job["output"]), json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


def require_executed(notebook: dict[str, Any]) -> None:
    """Raise unless every code cell that holds code has been run.

    Papermill marks cells "completed" that a killed kernel never ran; an execution count cannot
    lie.

    Raises:
        NotebookFailedError: names the first cell that was not run.
    """
    for number, cell in enumerate(notebook["cells"], start=1):
        if cell["cell_type"] != "code" or not "".join(cell["source"]).strip():
            continue
        if cell.get("execution_count") is None:
            raise NotebookFailedError(
                f"cell {number} ({_first_line(cell['source'])!r}) was never run: "
                "the kernel died before it"
            )


def _first_line(source: str | list[str]) -> str:
    return "".join(source).strip().splitlines()[0]


def main(job_file: Path) -> int:
    """Execute the job; the exit code."""
    stop_when_orphaned()
    job = read_json(job_file)
    try:
        execute_notebook(job, job_file.parent)
    except NotebookFailedError as error:
        atomic_write(job_file.with_suffix(".error"), without_paths(str(error)))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
