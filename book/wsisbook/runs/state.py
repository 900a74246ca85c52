"""Whether runs are done, running, missing, stale, failed, and why; executed notebooks too."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from wsisbook.runs.config import differences
from wsisbook.runs.declared import RunKey, Study
from wsisbook.runs.parts import version_changes
from wsisbook.runs.paths import without_paths
from wsisbook.runs.resolve import Run, keys_of, resolve, with_needs
from wsisbook.runs.stopwatch import duration
from wsisbook.runs.store import RunStore
from wsislib.atomic import read_json

RUN_COLUMNS = (
    "table", "row", "seed", "state", "why", "seconds", "peak_memory_mib", "device", "machine",
    "commit", "date",
)  # fmt: skip
NOTEBOOK_COLUMNS = ("notebook", "state", "seconds", "scale", "date", "machine", "versions")
State = Literal["done", "running", "missing", "stale", "failed", "interrupted", "damaged"]


@dataclass(frozen=True)
class RunState:
    """The state of one run.

    done: its numbers stand. stale: they were made by other parameters or older parts. running: a
    process is at it. interrupted: it was stopped and can go on. failed: it raised. damaged: a
    result file is not what the run wrote.
    """

    state: State
    reasons: tuple[str, ...] = ()  # such as 'steps: 100 -> 200' or 'part world: 1 -> 2'
    has_result: bool = False  # numbers of a finished run are there, fresh or not

    @property
    def why(self) -> str:
        """The reasons in one line."""
        return "; ".join(self.reasons)


def run_state(study: Study, store: RunStore, key: RunKey) -> RunState:
    """The state of the run `key`, judged against study.yml and the parts as they are now."""
    run = resolve(study, key)
    status = store.status(run.key)
    state, result = status.get("state", "missing"), status.get("result")
    if state == "missing":
        return RunState("missing")
    if state == "damaged":
        return RunState("damaged", (without_paths(status["error"]),))
    if state == "running" and store.is_locked(run.key):
        return RunState("running", (), result is not None)
    changes: list[str] = []
    if result is not None:
        if damage := store.damage(run.key, result):
            return RunState("damaged", tuple(damage))
        changes = _changes(study, store, run, store.read(run.key, "params.json"))
        if state == "done":
            return RunState("stale" if changes else "done", tuple(changes), True)
        changes = changes or ["it was to be done again"]
    if state == "failed":
        reason = f"failed: {status.get('error', 'no reason was recorded')}"
        return RunState("failed", (reason, *changes), result is not None)
    reason = "was stopped before its end; starting it again goes on"
    return RunState("interrupted", (reason, *changes), result is not None)


def _changes(study: Study, store: RunStore, run: Run, record: dict[str, Any]) -> list[str]:
    """Why a recorded run is not the run that study.yml asks for now; empty if it is."""
    changed = []
    if record["experiment"] != run.experiment_name:
        changed.append(f"experiment: {record['experiment']} -> {run.experiment_name}")
    changed += differences(record["settings"], run.settings, run.default_settings)
    for name in sorted({*record["needs"], *run.needs}):
        old, new = record["needs"].get(name), run.needs.get(name)
        if old is None or new is None or old["run"] != str(new):
            changed.append(f"needs {name}: {old and old['run']} -> {new}")
        elif old["hash"] != run.need_hashes[name]:
            used = _record(store, run.key, "environment.json").get("needs", {}).get(name, {})
            if not _is_the_run_used(study, store, new, old["hash"], used.get("weights", {})):
                changed.append(f"needs {name}: the parameters of {new} changed")
    return changed + version_changes(record["parts"], run.parts)


def _is_the_run_used(
    study: Study, store: RunStore, key: RunKey, used_hash: str, used_weights: dict[str, str]
) -> bool:
    """Whether the run `key` on record is the one that was used, and what study.yml asks for.

    Then its hash differs only because its experiment has got a setting more since, with a
    default that leaves it as it was. The record shows it by its hash, or, where the run was
    recorded before that setting came, by the very weights that were used.
    """
    record = _record(store, key, "params.json")
    same_weights = used_weights and used_weights == store.result(key).get("weights")
    if not record or (record["hash"] != used_hash and not same_weights):
        return False
    return not _changes(study, store, resolve(study, key), record)


def _record(store: RunStore, key: RunKey, name: str) -> dict[str, Any]:
    """A record of a run; empty where it is missing or corrupt."""
    try:
        return store.read(key, name) or {}
    except ValueError:
        return {}


def status_frame(
    study: Study, store: RunStore, scale: str, tables: Iterable[str] = ()
) -> pd.DataFrame:
    """One line a run, those that others need included: state, why, cost, machine."""
    keys = with_needs(study, keys_of(study, scale, tables))
    return pd.DataFrame([_run_line(study, store, key) for key in keys], columns=list(RUN_COLUMNS))


def _run_line(study: Study, store: RunStore, key: RunKey) -> dict[str, Any]:
    state = run_state(study, store, key)
    facts = (store.read(key, "environment.json") if state.has_result else None) or {}
    machine = facts.get("machine", {})
    line = {"table": key.table, "row": key.row, "seed": key.seed}
    line |= {"state": state.state, "why": state.why}
    line |= {name: facts.get(name) for name in ("seconds", "peak_memory_mib")}
    line |= {name: facts.get(name, "") for name in ("device", "date")}
    line["machine"] = f"{machine['cpu']}, {machine['cores']} cores" if machine else ""
    line["commit"] = str(facts.get("commit") or "")[:10]
    return line


def status_text(frame: pd.DataFrame) -> str:
    """The state of runs for a terminal: one line each, and how many of each state."""
    lines = []
    for line in frame.to_dict("records"):
        name = f"{line['table']}/{line['row']}/seed-{line['seed']}"
        cost = "" if pd.isna(line["seconds"]) else f"  {duration(line['seconds'])}"
        why = f"  {line['why']}" if line["why"] else ""
        lines.append(f"{line['state']:<11} {name}{cost}{why}")
    counts = frame["state"].value_counts()
    total = ", ".join(f"{count} {state}" for state, count in counts.items())
    return "\n".join([*lines, total or "no runs at this scale"])


def notebook_frame(executed: Path) -> pd.DataFrame:
    """One line an executed notebook under `executed`, read from what the notebooks carry."""
    lines = []
    for file in sorted(executed.rglob("*.ipynb")):
        if ".ipynb_checkpoints" in file.parts:
            continue
        facts = read_json(file).get("metadata", {}).get("wsis") or {"state": "not executed"}
        line = {name: facts[name] for name in NOTEBOOK_COLUMNS if name in facts}
        line["notebook"] = file.relative_to(executed).with_suffix("").as_posix()
        if "versions" in facts:
            line["scale"] = facts["parameters"].get("scale", "")
            line["versions"] = ", ".join(f"{k} {v}" for k, v in facts["versions"].items())
        lines.append(line)
    return pd.DataFrame(lines, columns=list(NOTEBOOK_COLUMNS))
