"""The committed results: whole, free of this machine's paths, and the source of every table."""

from pathlib import Path

import pandas as pd
import pytest

from wsisbook.runs.paths import results_root
from wsisbook.runs.resolve import keys_of, with_needs
from wsisbook.runs.spec import load_study
from wsisbook.runs.store import RunStore
from wsisbook.tables.tables import Results

ROOT = Path(__file__).resolve().parents[3]
STUDY = load_study(ROOT / "book" / "study.yml")
SCALES = ("lab", "paper")


def store(scale: str, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    monkeypatch.delenv("WSIS_RESULTS", raising=False)
    return RunStore(results_root(scale, ROOT))


@pytest.mark.parametrize("scale", SCALES)
def test_every_committed_table_comes_from_its_runs(
    scale: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = store(scale, monkeypatch)
    for file in sorted(place.root.glob("tables/*.csv")):
        now = Results(STUDY, place, scale).table(file.stem).long().map(str)
        then = pd.read_csv(file, dtype=str, keep_default_na=False).replace("", "nan")
        same = (now.replace("", "nan") == then) if now.shape == then.shape else None
        assert same is not None and same.all(axis=None), (
            f"results/tables/{file.name} is not what the runs say now: run `wsis tables`"
        )


@pytest.mark.parametrize("scale", SCALES)
def test_every_committed_run_is_whole(scale: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = store(scale, monkeypatch)
    for key in with_needs(STUDY, keys_of(STUDY, scale)):
        result = place.status(key).get("result")
        if result is not None:
            assert place.damage(key, result) == [], str(key)


@pytest.mark.parametrize("scale", SCALES)
def test_records_name_no_place_on_a_machine(scale: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in store(scale, monkeypatch).root.glob("runs/*/*/seed-*/*.json"):
        if file.name != "examples.json":
            text = file.read_text(encoding="utf-8")
            assert str(ROOT) not in text and "/home/" not in text, file
