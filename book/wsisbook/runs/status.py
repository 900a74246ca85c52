"""The state of every run and of every executed notebook, as tables."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from wsisbook.runs.declared import RunKey, Study
from wsisbook.runs.resolve import keys_of, with_needs
from wsisbook.runs.state import run_state
from wsisbook.runs.stopwatch import duration
from wsisbook.runs.store import RunStore
from wsislib.atomic import read_json

RUN_COLUMNS = (
    "table", "row", "seed", "state", "why", "seconds", "peak_memory_mib", "device", "machine",
    "commit", "date",
)  # fmt: skip
NOTEBOOK_COLUMNS = ("notebook", "state", "seconds", "scale", "date", "machine", "versions")


def status_frame(
    study: Study, store: RunStore, scale: str, tables: Iterable[str] = ()
) -> pd.DataFrame:
    """One line a run, those that others need included: state, why, cost, machine.

    Raises:
        ValueError: unknown table or scale.
    """
    keys = with_needs(study, keys_of(study, scale, tables))
    return pd.DataFrame([_run_line(study, store, key) for key in keys], columns=list(RUN_COLUMNS))


def _run_line(study: Study, store: RunStore, key: RunKey) -> dict[str, Any]:
    state = run_state(study, store, key)
    facts = (store.read(key, "environment.json") if state.has_result else None) or {}
    machine = facts.get("machine", {})
    return {
        "table": key.table,
        "row": key.row,
        "seed": key.seed,
        "state": state.state,
        "why": state.why,
        "seconds": facts.get("seconds"),
        "peak_memory_mib": facts.get("peak_memory_mib"),
        "device": facts.get("device", ""),
        "machine": f"{machine['cpu']}, {machine['cores']} cores" if machine else "",
        "commit": str(facts.get("commit") or "")[:10],
        "date": facts.get("date", ""),
    }


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
