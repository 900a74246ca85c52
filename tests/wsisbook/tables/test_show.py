"""What notebooks call, for rows that have a run and for rows that show part of one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from wsisbook.runs.digest import file_digest
from wsisbook.runs.run import execute
from wsisbook.tables.show import (
    examples,
    history,
    per_category,
    run_config,
    seeds,
    state_of,
    verdicts,
)
from wsislib.atomic import read_json, write_json

VIEWS = """
      head-a:
        view: {table: tiny, row: low, prefix: a}
      head-b:
        view: {table: tiny, row: low, prefix: b}
      head-b-reversed:
        view: {table: tiny, row: low, prefix: b.reversed}
      whole:
        view: {table: tiny, row: low}
"""
HISTORY = "step,lr,loss_mask.a,loss_mask.b,total\n1,0.1,0.5,0.7,1.2\n"


@pytest.fixture
def heads(study_root: Path, change_study: Callable) -> None:
    """A run of two heads, and rows that show one of them each."""
    change_study("      shown:\n", VIEWS.strip("\n") + "\n      shown:\n")
    execute("tiny", "low", 0, "lab")
    folder = study_root / "results/runs/tiny/low/seed-0"
    found = [{"image_id": i, "score": 0.5, "head": head} for i in (1, 2) for head in "ab"]
    write_json(folder / "examples.json", found)
    (folder / "history.csv").write_text(HISTORY, encoding="utf-8")


def test_a_row_that_shows_a_head_has_its_masks_alone(heads: None) -> None:
    assert [e["image_id"] for e in examples("tiny", "head-b")] == [1, 2]
    assert {e["head"] for e in examples("tiny", "head-b")} == {"b"}
    assert examples("tiny", "head-b-reversed") == examples("tiny", "head-b")
    assert len(examples("tiny", "whole")) == len(examples("tiny", "low")) == 4


def test_a_row_that_shows_a_head_has_its_losses_alone(heads: None) -> None:
    own = history("tiny", "head-a")
    assert own is not None
    assert list(own.columns) == ["step", "lr", "loss_mask", "total"]
    assert own["loss_mask"].tolist() == [0.5]
    whole = history("tiny", "whole")
    assert whole is not None and "loss_mask.b" in whole


def test_settings_and_state_are_those_of_the_run(heads: None) -> None:
    assert run_config("tiny", "head-a").value == run_config("tiny", "low").value == 10.0
    assert state_of("tiny", "head-a", 1).state == "missing"


def test_a_run_without_heads_belongs_to_every_row_that_shows_it(
    study_root: Path, change_study: Callable
) -> None:
    """A prefix also names a part of the metrics, such as the other direction's."""
    change_study("view: {table: stage-one, row: detector}",
                 "view: {table: stage-one, row: detector, prefix: reversed}")  # fmt: skip
    execute("stage-one", "detector", 0, "lab")
    assert [e["image_id"] for e in examples("tiny", "shown")] == [1]
    kept = history("tiny", "shown")
    assert kept is not None and list(kept.columns) == ["step", "loss"]


def give_metrics(root: Path, run: str, metrics: dict) -> None:
    """Other numbers for a finished run, under a digest that fits them."""
    folder = root / "results/runs" / run
    write_json(folder / "metrics.json", metrics)
    status = read_json(folder / "status.json")
    status["result"]["files"]["metrics.json"] = file_digest(folder / "metrics.json")
    write_json(folder / "status.json", status)


def test_categories_are_those_of_the_head_that_a_row_shows(heads: None, study_root: Path) -> None:
    for seed in (1, 2):
        execute("tiny", "low", seed, "lab")
        own = {
            head: {
                "segm": {"B": {"AP": 1.0}},
                "reversed": {"segm": {"B": {"AP": 2.0}}},
                "per_category": {"segm": {"ring": place + seed, "disc": float("nan")}},
            }
            for place, head in enumerate("ab")
        }
        give_metrics(study_root, f"tiny/low/seed-{seed}", own)
    frame = per_category("tiny", "head-b")
    assert list(frame.columns) == ["seed-1", "seed-2"]
    assert frame.loc["ring"].tolist() == [2.0, 3.0] and frame.loc["disc"].isna().all()
    assert per_category("tiny", "head-b-reversed").equals(frame), "categories know no direction"
    assert per_category("tiny", "head-a").loc["ring"].tolist() == [1.0, 2.0]


def test_categories_of_a_run_without_heads(study_root: Path) -> None:
    execute("tiny", "low", 1, "lab")
    numbers = {"segm": {"B": {"AP": 4.0}}, "per_category": {"segm": {"ring": 4.0}}}
    give_metrics(study_root, "tiny/low/seed-1", numbers)
    assert per_category("tiny", "low").to_dict() == {"seed-1": {"ring": 4.0}}
    assert per_category("tiny", "high").empty


def test_what_was_not_run_is_empty(study_root: Path) -> None:
    assert examples("tiny", "low") == [] and history("tiny", "low") is None
    assert seeds("tiny", "low") == (0, 1, 2) and seeds("tiny", "high-3") == (0,)


def test_verdicts_are_those_of_the_tables_asked_for(study_root: Path) -> None:
    claims = "\n".join(
        f"- {{id: of-{name}, kind: ordering, statement: Said., source: S1, published: [],\n"
        f"   check: {{type: greater, table: {name}, metric: {metric}, chain: [{chain}]}}}}"
        for name, metric, chain in (("tiny", "AP_B", "low, high"), ("later", "AP", "a, b"))
    )
    (study_root / "papers/a-paper/claims.yml").write_text(claims, encoding="utf-8")
    assert [v.claim.id for v in verdicts(["tiny"])] == ["of-tiny"]
    with pytest.raises(ValueError, match="no table 'tinny'.*'tiny'"):
        verdicts(["tinny"])
