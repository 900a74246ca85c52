"""What a part of the book costs, from runs whose times are written by hand."""

import json
from pathlib import Path

import pandas as pd
import pytest

from wsisbook.plan.costs import expected_cost, past_runs
from wsisbook.plan.plan import gpu_hours, make_plan, part_costs, part_rows
from wsisbook.runs.declared import RunKey, Study
from wsisbook.runs.resolve import resolve
from wsisbook.runs.run import execute
from wsisbook.runs.spec import load_study
from wsisbook.runs.state import status_frame
from wsisbook.runs.store import RunStore, file_digest, open_store


def took(store: RunStore, row: str, seed: int, seconds: float, **settings: object) -> None:
    """Say of a finished run of `tiny` how long it took, and what its settings were."""
    folder = store.folder(RunKey("lab", "tiny", row, seed))
    facts = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    (folder / "environment.json").write_text(json.dumps({**facts, "seconds": seconds}))
    if settings:
        params = json.loads((folder / "params.json").read_text(encoding="utf-8"))
        params["settings"].update(settings)
        (folder / "params.json").write_text(json.dumps(params))
    result = store.status(RunKey("lab", "tiny", row, seed))["result"]
    result["files"] = {name: file_digest(folder / name) for name in result["files"]}
    store.write_status(RunKey("lab", "tiny", row, seed), "done", result=result)


def costs(study: Study, store: RunStore) -> pd.DataFrame:
    return part_costs(study, store, "lab", status_frame(study, store, "lab"))


def test_a_part_is_what_was_done_and_what_is_left(study_root: Path) -> None:
    for seed in (0, 1):
        execute("tiny", "low", seed, "lab")
    study, store = load_study(), open_store("lab")
    took(store, "low", 0, 60.0)
    took(store, "low", 1, 100.0)
    found = costs(study, store)
    # Left of `tiny`: low/2 by its own row, high/0..2, high-3/0 and high-4/0 by steps: 80 s each.
    columns = ["runs", "done", "done_seconds", "left_seconds", "unknown"]
    assert found.loc["part", columns].tolist() == [8, 2, 160.0, 6 * 80.0, 0]
    # The detectors are in no chapter; they have no steps of their own to go by.
    assert found.loc["in no chapter", columns].tolist() == [3, 0, 0.0, 0.0, 3]
    assert part_rows(found) == [
        ("in no chapter", "3", "0", "0 s", "3 of unknown cost"),
        ("part", "8", "2", "3 min", "8 min"),
    ]
    assert gpu_hours(study, make_plan(study, store, "lab")) == {}


@pytest.mark.parametrize(("labels", "seconds"), [("5 tags + 1 boxes", 300.0), ("boxes", 90.0)])
def test_runs_of_tags_are_compared_with_runs_of_tags(
    study_root: Path, labels: str, seconds: float
) -> None:
    for seed in (0, 1):
        execute("tiny", "low", seed, "lab")
    file = study_root / "book" / "study.yml"
    text = file.read_text(encoding="utf-8")
    assert "{value: 20.0}" in text
    file.write_text(text.replace("{value: 20.0}", f"{{value: 20.0, labels: {labels}}}"))
    study, store = load_study(), open_store("lab")
    took(store, "low", 0, 300.0, shares={"tags": 0.5, "boxes": 0.5}, labels="budget")
    took(store, "low", 1, 90.0, shares={"points": 1.0}, labels="budget")
    cost = expected_cost(resolve(study, RunKey("lab", "tiny", "high", 0)), past_runs(store))
    assert (cost.seconds, cost.source) == (seconds, "step time")
