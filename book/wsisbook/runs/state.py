"""Whether a run is done, running, missing, stale, failed: and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
    result = status.get("result")
    if status.get("state") == "damaged":
        return RunState("damaged", (without_paths(status["error"]),))
    if status.get("state") == "running" and store.is_locked(run.key):
        return RunState("running", (), result is not None)
    if result is not None:
        damage = store.damage(run.key, result)
        if damage:
            return RunState("damaged", tuple(damage))
        changes = _changes(study, store, run, store.read(run.key, "params.json"))
        if not changes and status["state"] == "done":
            return RunState("done", (), True)
        if status["state"] == "done":
            return RunState("stale", tuple(changes), True)
        changes = changes or ["it was to be done again"]
        return RunState(_attempt(status), (_attempt_text(status), *changes), True)
    if not status:
        return RunState("missing")
    return RunState(_attempt(status), (_attempt_text(status),))


def _attempt(status: dict) -> State:
    return "failed" if status.get("state") == "failed" else "interrupted"


def _attempt_text(status: dict) -> str:
    if status.get("state") == "failed":
        return f"failed: {status.get('error', 'no reason was recorded')}"
    return "was stopped before its end; starting it again goes on"


def _changes(study: Study, store: RunStore, run: Run, record: dict) -> list[str]:
    """Why a recorded run is not the run that study.yml asks for now; empty if it is."""
    changed = []
    if record["experiment"] != run.experiment_name:
        changed.append(f"experiment: {record['experiment']} -> {run.experiment_name}")
    changed += differences(record["settings"], run.settings, run.default_settings)
    for name in sorted({*record["needs"], *run.needs}):
        old, new = record["needs"].get(name), run.needs.get(name)
        if old is None or new is None or old["run"] != str(new):
            changed.append(f"needs {name}: {old and old['run']} -> {new}")
        elif old["hash"] != run.need_hashes[name] and not _stands(
            study, store, new, old["hash"], _weights_used(store, run.key, name)
        ):
            changed.append(f"needs {name}: the parameters of {new} changed")
    return changed + version_changes(record["parts"], run.parts)


def _weights_used(store: RunStore, key: RunKey, name: str) -> dict[str, str]:
    """File name -> sha256 of the weights that the recorded run `key` took from its need `name`."""
    try:
        record = store.read(key, "environment.json") or {}
    except ValueError:
        return {}
    return record.get("needs", {}).get(name, {}).get("weights", {})


def _stands(study: Study, store: RunStore, key: RunKey, used: str, weights: dict[str, str]) -> bool:
    """Whether the run `key` on record is the one that was `used`, and what study.yml asks for.

    Then its hash is another only because its experiment has got a setting more since, with a
    default that leaves it as it was. It is the one if its record has the hash, or if the very
    weights that were used are its own.
    """
    try:
        record = store.read(key, "params.json")
    except ValueError:
        return False
    if record is None:
        return False
    own = (store.status(key).get("result") or {}).get("weights")
    if record["hash"] != used and not (weights and weights == own):
        return False
    return not _changes(study, store, resolve(study, key), record)
