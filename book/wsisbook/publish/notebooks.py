"""Executes the book's notebooks with papermill, several at a time, each in its own process.

A notebook whose inputs have not changed since its last good execution is left alone. A failing
one does not stop the others; its executed copy from before stays until a good one replaces it.

`python -m wsisbook.publish.notebooks JOB` is such a process. JOB is a JSON file: input, output,
folder, parameters, inputs (a digest). The output appears, whole, only when every cell has run.
Exit code 1 and `<JOB>.error` say which cell failed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from wsisbook.batch.processes import VARIABLE, batch_mark, stop_when_orphaned
from wsisbook.publish.notebook_inputs import (
    check_parameters,
    inputs_digest,
    notebook_parameters,
    quiet_papermill,
)
from wsisbook.runs.declared import Study
from wsisbook.runs.environment import cores, library_versions, machine_text
from wsisbook.runs.paths import BUILDING, build_folder, without_paths
from wsisbook.runs.store import RunStore, now
from wsislib.atomic import atomic_write, read_json, write_json
from wsislib.strict import did_you_mean

_HIDDEN = ("_build", ".ipynb_checkpoints")
GRACE_SECONDS = 10.0


class NotebookFailedError(RuntimeError):
    """A cell raised, or was never run."""


@dataclass(frozen=True)
class ExecutedNotebook:
    """What came of one notebook."""

    name: str  # path in the book, without ending
    state: Literal["done", "unchanged", "failed"]
    seconds: float | None = None  # of the last good execution
    error: str = ""  # which cell failed and how


def find_notebooks(book: Path, names: Iterable[str] = ()) -> list[Path]:
    """The notebooks of the book, or those called `names` (path in the book, or file name)."""
    every = [f for f in sorted(book.rglob("*.ipynb")) if not set(_HIDDEN) & set(f.parts)]
    known = {f.relative_to(book).with_suffix("").as_posix(): f for f in every}
    chosen = []
    for name in names:
        wanted = name.removesuffix(".ipynb").removeprefix("book/")
        found = [f for full, f in known.items() if wanted in (full, f.stem)]
        if not found:
            # A name without a folder is compared with file names, one with a folder with paths.
            called = known if "/" in wanted else {f.stem for f in every}
            raise ValueError(f"no notebook {name!r} in {book.name}/{did_you_mean(wanted, called)}")
        chosen += found
    return chosen or every


@dataclass
class NotebookRunner:
    """Executes notebooks of the book, `workers` at a time, with `force` unchanged ones too.

    `output` is the folder of executed notebooks, laid out as the book is. `parameters` are given to
    every notebook, each of which must have them, and `scale` to those that have it.
    """

    study: Study
    store: RunStore
    scale: str
    output: Path
    parameters: Mapping[str, Any] = field(default_factory=dict)
    workers: int = 1
    force: bool = False
    _running: list[subprocess.Popen] = field(default_factory=list, init=False)

    def run(self, notebooks: Sequence[Path]) -> list[ExecutedNotebook]:
        """Execute `notebooks`; one outcome each, in their order.

        A parameter that a notebook does not have raises ValueError before anything is run.
        """
        book = self.study.file.parent
        jobs = [(notebook, self._parameters(notebook)) for notebook in notebooks]
        with ThreadPoolExecutor(self.workers) as pool:
            try:
                return list(pool.map(lambda job: self._one(book, *job), jobs))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                _stop(self._running)
                raise

    def _parameters(self, notebook: Path) -> dict[str, Any]:
        given = dict(self.parameters)
        if "scale" in notebook_parameters(notebook):
            given["scale"] = self.scale
        return check_parameters(notebook, given)

    def _one(self, book: Path, notebook: Path, parameters: dict[str, Any]) -> ExecutedNotebook:
        name = notebook.relative_to(book).with_suffix("").as_posix()
        output = self.output / f"{name}.ipynb"
        inputs = inputs_digest(self.study, self.store, self.scale, notebook, parameters)
        before = executed_facts(output)
        if not self.force and before.get("inputs") == inputs:
            return ExecutedNotebook(name, "unchanged", before.get("seconds"))
        scratch = build_folder(self.study.root) / "executing" / name
        shutil.rmtree(scratch, ignore_errors=True)
        places = {"input": str(notebook), "output": str(output), "folder": str(notebook.parent)}
        write_json(scratch / "job.json", {**places, "parameters": parameters, "inputs": inputs})
        code = self._process(scratch)
        if code == 0:
            shutil.rmtree(scratch, ignore_errors=True)
            return ExecutedNotebook(name, "done", executed_facts(output).get("seconds"))
        try:
            why = (scratch / "job.error").read_text(encoding="utf-8")
        except FileNotFoundError:
            why = f"the process ended with code {code} before it could say why"
        where = scratch.relative_to(self.study.root).as_posix()
        why += f" (half-executed notebook and log in {where})"
        return ExecutedNotebook(name, "failed", None, why)

    def _process(self, scratch: Path) -> int:
        """Execute the job in a process of its own, with its share of the cores; the exit code."""
        environment = {
            "OMP_NUM_THREADS": str(max(1, cores() // self.workers)),
            **os.environ,
            BUILDING: "1",
            "JUPYTER_PREFER_ENV_PATH": "1",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            VARIABLE: batch_mark(),
        }
        command = [sys.executable, "-m", "wsisbook.publish.notebooks", str(scratch / "job.json")]
        with open(scratch / "log.txt", "wb") as log:
            process = subprocess.Popen(
                command, cwd=self.study.root, env=environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            self._running.append(process)
            return process.wait()


def _stop(processes: Sequence[subprocess.Popen]) -> None:
    """Ask the processes to end and, where one does not, end it; its kernel then ends by itself."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def executed_facts(output: Path) -> dict[str, Any]:
    """What an executed notebook says of its execution; empty where there is none."""
    try:
        return read_json(output)["metadata"].get("wsis", {})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {}


def remove_orphans(book: Path, output: Path) -> None:
    """Remove executed notebooks whose source is gone from the book."""
    if output.is_dir():
        for file in output.rglob("*.ipynb"):
            if not (book / file.relative_to(output)).is_file():
                file.unlink()


def execute_notebook(job: dict[str, Any], scratch: Path) -> None:
    """Execute `job["input"]` and write `job["output"]`.

    Raises NotebookFailedError, which names the cell; the half-executed notebook stays in `scratch`.
    """
    papermill = quiet_papermill()
    half = scratch / "notebook.ipynb"
    started = time.monotonic()
    try:
        papermill.execute_notebook(
            job["input"], str(half), job["parameters"], cwd=job["folder"], kernel_name="python3",
            progress_bar=False, log_output=False,
        )  # fmt: skip
    except papermill.PapermillExecutionError as error:
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
    """Raise NotebookFailedError, naming the cell, unless every cell that holds code has been run.

    Papermill marks cells "completed" that a killed kernel never ran; an execution count cannot
    lie.
    """
    for number, cell in enumerate(notebook["cells"], start=1):
        code = cell["cell_type"] == "code" and "".join(cell["source"]).strip()
        if code and cell.get("execution_count") is None:
            line = _first_line(cell["source"])
            raise NotebookFailedError(f"cell {number} ({line!r}) was never run: the kernel died")


def _first_line(source: str | list[str]) -> str:
    return "".join(source).strip().splitlines()[0]


def _execute_job(job_file: Path) -> int:
    """Execute the job in this process; the exit code."""
    stop_when_orphaned()
    job = read_json(job_file)
    try:
        execute_notebook(job, job_file.parent)
    except NotebookFailedError as error:
        atomic_write(job_file.with_suffix(".error"), without_paths(str(error)))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_execute_job(Path(sys.argv[1])))
