"""What notebooks read, for rows that have a run and for rows that show part of one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from wsisbook import reading
from wsisbook.experiments.partial_data import data_sets
from wsisbook.experiments.settings import PartialDataConfig
from wsisbook.reading import RowResults, StudyResults, open_study
from wsisbook.runs.run import execute
from wsisbook.runs.state import RunState
from wsisbook.runs.store import file_digest
from wsislib.atomic import read_json, write_json
from wsislib.data.sample import Detections
from wsislib.engine.predict import as_results
from wsislib.viz import pictures

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


def row(name: str) -> RowResults:
    """A row of the tiny table with its runs as they are now."""
    return open_study()["tiny", name]


def test_a_row_that_shows_a_head_has_its_masks_alone(heads: None) -> None:
    found = row("head-b").examples()
    assert [e["image_id"] for e in found] == [1, 2] and {e["head"] for e in found} == {"b"}
    assert row("head-b-reversed").examples() == found
    assert len(row("whole").examples()) == len(row("low").examples()) == 4


def test_a_row_that_shows_a_head_has_its_losses_alone(heads: None) -> None:
    own = row("head-a").history()
    assert own is not None
    assert list(own.columns) == ["step", "lr", "loss_mask", "total"]
    assert own["loss_mask"].tolist() == [0.5]
    whole = row("whole").history()
    assert whole is not None and "loss_mask.b" in whole


def test_settings_and_state_are_those_of_the_run(heads: None, study_root: Path) -> None:
    assert row("head-a").config.value == row("low").config.value == 10.0
    assert row("head-a").state(1).state == "missing"
    assert row("head-a").folder(1) == study_root / "results/runs/tiny/low/seed-1"


def test_a_run_without_heads_belongs_to_every_row_that_shows_it(
    study_root: Path, change_study: Callable
) -> None:
    """A prefix also names a part of the metrics, such as the other direction's."""
    change_study("view: {table: stage-one, row: detector}",
                 "view: {table: stage-one, row: detector, prefix: reversed}")  # fmt: skip
    execute("stage-one", "detector", 0, "lab")
    assert [e["image_id"] for e in row("shown").examples()] == [1]
    kept = row("shown").history()
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
    frame = row("head-b").category_ap()
    assert list(frame.columns) == [0, 1, 2] and frame[0].isna().all()
    assert frame.loc["ring", [1, 2]].tolist() == [2.0, 3.0] and frame.loc["disc"].isna().all()
    assert row("head-b-reversed").category_ap().equals(frame), "categories know no direction"
    assert row("head-a").category_ap().loc["ring", [1, 2]].tolist() == [1.0, 2.0]


def test_categories_of_a_run_without_heads(study_root: Path) -> None:
    execute("tiny", "low", 1, "lab")
    numbers = {"segm": {"B": {"AP": 4.0}}, "per_category": {"segm": {"ring": 4.0}}}
    give_metrics(study_root, "tiny/low/seed-1", numbers)
    assert row("low").category_ap().to_dict() == {1: {"ring": 4.0}}
    assert row("high").category_ap().empty
    means = open_study().category_ap("tiny", {"one": "low", "other": "high"})
    assert means["one"].to_dict() == {"ring": 4.0} and means["other"].isna().all()


def test_what_was_not_run_is_empty(study_root: Path) -> None:
    assert row("low").examples() == [] and row("low").history() is None
    assert row("low").metrics() is None and row("low").metrics_by_seed == {}
    assert row("low").seeds == (0, 1, 2) and row("high-3").seeds == (0,)
    execute("tiny", "low", 1, "lab")
    assert row("low").examples(1)[0]["image_id"] == 1 and list(row("low").metrics_by_seed) == [1]
    with pytest.raises(ValueError, match="no row 'lo'.*'low'"):
        row("lo")


METRICS = {
    "low": {0: {"teacher": {"point": {"best": 0.5}}}, 1: {"teacher": {"point": {"best": 0.7}}}},
    "high": {2: {"teacher": {"box": {"best": 0.9}}}},
}


def test_numbers_are_means_over_seeds_and_say_what_is_missing(study_root: Path) -> None:
    for name, runs in METRICS.items():
        for seed, metrics in runs.items():
            write_json(study_root / f"results/runs/tiny/{name}/seed-{seed}/metrics.json", metrics)
    columns = {"points": "teacher.point.best", "boxes": "teacher.box.best"}
    shown = open_study().numbers("tiny", ["low", "high", "high-3"], columns, digits=1)
    assert shown.to_dict("list") == {
        "points": ["0.6 ± 0.1 (2)", "", "not run"],
        "boxes": ["", "0.9 (1)", "not run"],
    }
    assert list(shown.index) == ["low", "high", "size 3"]


def test_verdicts_are_those_of_the_tables_asked_for(study_root: Path) -> None:
    claims = "\n".join(
        f"- {{id: of-{name}, kind: ordering, statement: Said., source: S1, published: [],\n"
        f"   check: {{type: greater, table: {name}, metric: {metric}, chain: [{chain}]}}}}"
        for name, metric, chain in (("tiny", "AP_B", "low, high"), ("later", "AP", "a, b"))
    )
    (study_root / "papers/a-paper/claims.yml").write_text(claims, encoding="utf-8")
    assert [v.claim.id for v in open_study().verdicts("tiny")] == ["of-tiny"]
    with pytest.raises(ValueError, match="no table 'tinny'.*'tiny'"):
        open_study().verdicts("tinny")


CONFIG = PartialDataConfig(categories=4, image_size=64, train_count=2, val_count=3, steps=1)


@pytest.fixture
def pictured(study_root: Path, monkeypatch: pytest.MonkeyPatch) -> StudyResults:
    """A study whose row `low` found the first object of scene 0; `high` was not run."""
    execute("tiny", "low", 0, "lab")
    truth = data_sets(CONFIG)[1]
    label = truth[0].label
    assert label.masks is not None and label.boxes is not None
    score = label.boxes.new_ones(1)
    found = Detections(label.boxes[:1], score, label.categories[:1], label.masks[:1])
    results = as_results(found, truth[0].image_id, truth.categories)
    write_json(study_root / "results/runs/tiny/low/seed-0/examples.json", results)
    monkeypatch.setattr(RowResults, "config", CONFIG)
    return open_study()


def test_a_row_that_was_not_run_is_said_to_be_so(
    pictured: StudyResults, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = {"low": RunState("done", (), True), "high": RunState("missing")}
    monkeypatch.setattr(RowResults, "state", lambda row, seed: states[row.name])
    figure = pictured.qualitative_figure("tiny", {"ours": "low", "theirs": "high"}, [0, 4])
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["ground truth", "ours", "theirs (not run)"]
    assert len(figure.axes) == 2 * 3, "scene 4 of 3 is scene 1"


def test_rows_without_titles_of_the_page_have_the_studys(
    pictured: StudyResults, monkeypatch: pytest.MonkeyPatch, change_study: Callable
) -> None:
    monkeypatch.setattr(RowResults, "state", lambda row, seed: RunState("done", (), True))
    change_study("      low:\n", "      low:\n        title: the one below\n        group: A, B\n")
    change_study("      shown:\n", "      shown:\n        title: the one below\n")
    change_study("      high:\n", "      high:\n        title: a row with a title of many words\n")
    figure = open_study().qualitative_figure("tiny", ["low", "high"], [0])
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["ground truth", "the one below, A", "a row with a title of many\nwords"]


def test_each_run_is_listed_once_on_a_page(study_root: Path, change_study: Callable) -> None:
    for seed in (0, 1, 2):
        execute("tiny", "low", seed, "lab")
    execute("stage-one", "detector", 0, "lab")
    study = open_study()
    assert "<details" not in study.table("tiny")._repr_html_()
    study.table("stage-one")._repr_html_()
    own = study.provenance("stage-one")
    assert list(own["run"]) == ["runs/stage-one/detector/seed-0"]
    for _ in range(2):  # a cell that is run again shows the same
        assert own._repr_html_().count('id="runs-stage-one-detector-seed-0"') == 1
    end = reading.notebook_provenance(scale="lab")
    for _ in range(2):
        page = end._repr_html_()
        assert page.count('id="runs-tiny-low-seed-') == 3 and "stage-one" not in page
        assert page.count("<details") == 1 and "3 runs: commit" in page
    again = study.provenance("tiny")._repr_html_()
    assert "id=" not in again and "listed above" in again


CLAIM = """
- id: high-above-low
  title: High above low
  kind: ordering
  statement: High is above low.
  source: S1
  published: []
  check: {type: greater, table: tiny, metric: AP_B, chain: [low, high]}
"""
QUESTIONS = """
- anchor: high
  part: One
  question: Is high above low?
  page: part/tiny
  claims: [high-above-low]
  answers: [{kind: gap, table: tiny, column: AP_B, rows: [low, high]}]
- {anchor: other, part: One, question: "And that?", page: part/other}
"""


def test_a_page_has_its_key_results(study_root: Path) -> None:
    (study_root / "papers/a-paper/claims.yml").write_text(CLAIM, encoding="utf-8")
    assert "No question names this page." in open_study().key_results("part/tiny")._repr_html_()
    (study_root / "book/questions.yml").write_text(QUESTIONS, encoding="utf-8")
    assert "- Not run yet." in repr(open_study().key_results("part/tiny"))
    for row in ("low", "high"):
        for seed in (0, 1, 2):
            execute("tiny", row, seed, "lab")
    box = open_study().key_results("part/tiny")
    assert repr(box).splitlines() == [
        "Key results, lab scale",
        "",
        "Is high above low?",
        "- “high” is 10.0 points above “low”: 20.1 ± 0.1 and 10.1 ± 0.1 AP on B (95% interval "
        "+10.0 to +10.0, 3 seeds).",
        "- Claim “High above low”: reproduced.",
    ]
    page = box._repr_html_()
    assert page.startswith('<div class="admonition tip key-results"')
    assert "<strong>10.0 points above</strong>" in page and "And that?" not in page


def test_what_was_found_is_drawn(pictured: StudyResults, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = {}

    def draw(lines, names, **kwargs):
        drawn["lines"] = lines

    monkeypatch.setattr(pictures, "pictures", draw)
    pictured.qualitative_figure("tiny", ["low", "high"], [0, 1])
    counts = [[len(panel.shown) for panel in line] for line in drawn["lines"]]
    truth = [len(data_sets(CONFIG)[1][index].label) for index in (0, 1)]
    assert counts == [[truth[0], 1, 0], [truth[1], 0, 0]]


def test_progress_counts_the_runs_of_every_scale(study_root: Path) -> None:
    execute("tiny", "low", 0, "lab")
    progress = open_study().progress()
    assert progress.loc["lab", "done"] == 1 and progress.loc["smoke", "done"] == 0
    assert progress.loc["lab", "runs"] == 11  # low, high, detector thrice; two sizes once
