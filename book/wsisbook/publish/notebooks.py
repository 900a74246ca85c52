"""Executes the book's notebooks with papermill, several at a time, each in its own process.

A notebook whose inputs have not changed since its last good execution is left alone. A failing
one does not stop the others; its executed copy from before stays until a good one replaces it.
"""

from __future__ import annotations

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

from wsisbook.batch.processes import VARIABLE, batch_mark
from wsisbook.publish.notebook_inputs import inputs_digest
from wsisbook.publish.notebook_parameters import check_parameters, notebook_parameters
from wsisbook.runs.declared import Study
from wsisbook.runs.environment import cores
from wsisbook.runs.paths import build_folder
from wsisbook.runs.store import RunStore
from wsislib.atomic import read_json, write_json
from wsislib.strict import did_you_mean

_HIDDEN = ("_build", ".ipynb_checkpoints")
GRACE_SECONDS = 10.0


@dataclass(frozen=True)
class Executed:
    """What came of one notebook.

    Attributes:
        name: its path in the book, without ending.
        state: "done", "unchanged" (left alone) or "failed".
        seconds: that the execution took (the last good one's, where it was left alone).
        error: which cell failed and how.
    """

    name: str
    state: Literal["done", "unchanged", "failed"]
    seconds: float | None = None
    error: str = ""


def find_notebooks(book: Path, names: Iterable[str] = ()) -> list[Path]:
    """The notebooks of the book, or those called `names` (path in the book, or file name).

    Raises:
        ValueError: there is no such notebook; names the nearest.
    """
    every = [f for f in sorted(book.rglob("*.ipynb")) if not set(_HIDDEN) & set(f.parts)]
    known = {f.relative_to(book).with_suffix("").as_posix(): f for f in every}
    chosen = []
    for name in names:
        wanted = name.removesuffix(".ipynb").removeprefix("book/")
        found = [f for full, f in known.items() if wanted in (full, f.stem)]
        if not found:
            raise ValueError(
                f"no notebook {name!r} in {book.name}/{did_you_mean(wanted, _called(known))}"
            )
        chosen += found
    return chosen or every


def _called(known: Iterable[str]) -> list[str]:
    """All names by which notebooks can be asked for."""
    return [*known, *(name.rpartition("/")[2] for name in known)]


@dataclass
class NotebookRunner:
    """Executes notebooks of the book.

    Attributes:
        study, store, scale: what they show.
        output: folder of executed notebooks, laid out as the book is.
        parameters: given to every notebook, each of which must have them. `scale` is given by
            itself to those that have it.
        workers: how many at a time.
        force: execute unchanged ones too.
    """

    study: Study
    store: RunStore
    scale: str
    output: Path
    parameters: Mapping[str, Any] = field(default_factory=dict)
    workers: int = 1
    force: bool = False
    _running: list[subprocess.Popen] = field(default_factory=list, init=False)

    def run(self, notebooks: Sequence[Path]) -> list[Executed]:
        """Execute `notebooks`; one outcome each, in their order.

        Raises:
            ValueError: a parameter that a notebook does not have; nothing has been run then.
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

    def _one(self, book: Path, notebook: Path, parameters: dict[str, Any]) -> Executed:
        name = notebook.relative_to(book).with_suffix("").as_posix()
        output = self.output / f"{name}.ipynb"
        inputs = inputs_digest(self.study, self.store, self.scale, notebook, parameters)
        before = executed_facts(output)
        if not self.force and before.get("inputs") == inputs:
            return Executed(name, "unchanged", before.get("seconds"))
        scratch = build_folder(self.study.root) / "executing" / name
        shutil.rmtree(scratch, ignore_errors=True)
        job = {
            "input": str(notebook),
            "output": str(output),
            "folder": str(notebook.parent),
            "parameters": parameters,
            "inputs": inputs,
        }
        write_json(scratch / "job.json", job)
        code = self._process(scratch)
        if code == 0:
            shutil.rmtree(scratch, ignore_errors=True)
            return Executed(name, "done", executed_facts(output).get("seconds"))
        return Executed(name, "failed", None, self._why(scratch, code))

    def _process(self, scratch: Path) -> int:
        """Execute the job in a process of its own, with its share of the cores; the exit code."""
        environment = {
            "OMP_NUM_THREADS": str(max(1, cores() // self.workers)),
            **os.environ,
            "JUPYTER_PREFER_ENV_PATH": "1",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            VARIABLE: batch_mark(),
        }
        command = [sys.executable, "-m", "wsisbook.publish.notebook_run", str(scratch / "job.json")]
        with open(scratch / "log.txt", "wb") as log:
            process = subprocess.Popen(
                command, cwd=self.study.root, env=environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            self._running.append(process)
            return process.wait()

    def _why(self, scratch: Path, code: int) -> str:
        """What a failed execution left as its reason."""
        reason = scratch / "job.error"
        text = (
            reason.read_text(encoding="utf-8")
            if reason.is_file()
            else f"the process ended with code {code} before it could say why"
        )
        where = scratch.relative_to(self.study.root).as_posix()
        return f"{text} (half-executed notebook and log in {where})"


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
