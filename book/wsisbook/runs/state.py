"""Whether a run is done, running, missing, stale, failed: and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from wsisbook.runs.config import differences
from wsisbook.runs.declared import RunKey, Study
from wsisbook.runs.parts import version_changes
from wsisbook.runs.paths import without_paths
from wsisbook.runs.resolve import Run, resolve
from wsisbook.runs.store import RunStore

State = Literal["done", "running", "missing", "stale", "failed", "interrupted", "damaged"]


@dataclass(frozen=True)
class RunState:
    """The state of one run.

    Attributes:
        state: done: its numbers stand. stale: they were made by other parameters or older
            parts. running: a process is at it. interrupted: it was stopped and can go on.
            failed: it raised. damaged: a result file is not what the run wrote.
        reasons: why, one text each, such as 'steps: 100 -> 200' or 'part world: 1 -> 2'.
        has_result: whether numbers of a finished run are there, fresh or not.
    """

    state: State
    reasons: tuple[str, ...] = ()
    has_result: bool = False

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
        damage = store.damage(run.key, result)
        if damage:
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
