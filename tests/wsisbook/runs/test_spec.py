"""study.yml: what it may say, and one clear error for all that it may not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from wsisbook.runs.declared import RunKey
from wsisbook.runs.experiments import experiment
from wsisbook.runs.resolve import keys_of, resolve, with_needs
from wsisbook.runs.spec import load_study
from wsisbook.tables.published import find_published, load_published

REPOSITORY = Path(__file__).resolve().parents[3]


def key(row: str, seed: int = 0, table: str = "tiny", scale: str = "lab") -> RunKey:
    return RunKey(scale, table, row, seed)


def test_settings_apply_in_order(study_root: Path) -> None:
    study = load_study()
    config = resolve(study, key("low")).config
    assert (config.steps, config.batch_size, config.value) == (10, 4, 10.0)
    assert resolve(study, key("low", scale="smoke")).config.steps == 1


def test_a_row_with_for_becomes_one_row_a_value(study_root: Path) -> None:
    study = load_study()
    assert list(study.table("tiny").rows) == ["low", "high", "high-3", "high-4", "shown"]
    assert study.table("tiny").row("high-4").title == "size 4"
    assert resolve(study, key("high-4")).config.value == 4.0


def test_needs_come_first_and_views_have_no_run(study_root: Path) -> None:
    study = load_study()
    every = keys_of(study, "lab", ["tiny"])
    assert [str(k) for k in every].count("stage-one/detector/seed-1") == 1
    assert not any(k.row == "shown" for k in every)
    assert len(every) == 3 + 3 + 1 + 1 + 3
    order = with_needs(study, [key("high", 2)])
    assert [str(k) for k in order] == ["stage-one/detector/seed-2", "tiny/high/seed-2"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("scales: {lab: {steps: 10}", "scalse: {lab: {steps: 10}", r"tables.tiny: unknown key 's"),
        ("title: A tiny table", "titel: A", r"tables.tiny: unknown key 'titel'; did .*'title'"),
        ("{value: 10.0}", "{valeu: 10.0}", r"rows.low at scale lab: unknown key 'valeu'.*'value'"),
        (
            "{value: 10.0}",
            "{value: ten}",
            r"scale lab.value: input .* valid number, not 'ten'",
        ),
        ("{value: 10.0}", "{value: 1, value: 2}", r"line \d+: key 'value' is given twice"),
        ("change: {value: 5.0}", "changes: {value: 5.0}", r"rows.detector: unknown key 'changes'"),
        ("change: {value: 5.0}", "value: 5.0", r"'value'.*; settings .* go under 'change'"),
        ('row: detector}}\n      "', 'row: detctor}}\n      "', r"no row 'detctor'.*'detector'"),
        ("needs: {detector: {table: stage-one", "needs: {detector: {tabel: stage-one", "'tabel'"),
        ("seeds: {lab: [0]}", "seeds: {labb: [0]}", r"seeds: unknown key 'labb'.*'lab'"),
        ("lab: {seeds: [0, 1, 2]}", "lab: {seeds: [0, 0]}", r"scales.lab.seeds: .*different"),
        ("{metric: segm.B.AP, title: AP on B", "{metrik: x, title: AP", r"unknown key 'metrik'"),
        ("fake_experiment_for_tests:FAKE\n    n", "fak\n    n", r"experiment 'fak'; did .*'fake'"),
        ("view: {table", "change: {a: 1}\n        view: {table", "tiny.rows.shown: .*no 'change'"),
        ("view: {table:", "view: {tabel:", "rows.shown.view: unknown key 'tabel'"),
        ("paper: a-paper", "papr: a-paper", r"published.papr.*value 'papr'; did .*'paper'"),
        ("seeds: {lab: [0]}", "seeds: {lab: [true]}", r"high-3.seeds.lab.0: .*integer, not True"),
        ("      low:\n", "      low:\n        name: other\n", "rows.low: unknown key 'name'"),
        ("for: {size: [3, 4]}", "fro: {size: [3, 4]}", "unknown key 'fro'; did you mean 'for'"),
        ("settings: {batch_size: 4}", "extend: tiny", "unknown key 'extend'; .*'extends'"),
        ("{value: 5.0}", "{batch_size: 1.5}", r"batch_size: .*integer, not 1.5"),
        ("{value: 5.0}", "{learning_rate: 1e-4}", r"write 1.0e-4"),
        ("{value: 5.0}", "{schedule: stp}", r"schedule: unknown value 'stp'; did .*'step'"),
    ],
)
def test_what_is_wrong_is_named(
    study_root: Path, change_study: Callable, old: str, new: str, message: str
) -> None:
    change_study(old, new)
    with pytest.raises(ValueError, match=message) as caught:
        study = load_study()
        for one in with_needs(study, keys_of(study, "lab")):
            resolve(study, one)
    assert "study.yml" in str(caught.value)


def test_runs_that_need_each_other_are_refused(study_root: Path, change_study: Callable) -> None:
    need = "{change: {value: 5.0}, needs: {other: {table: tiny, row: high}}}"
    change_study("{change: {value: 5.0}}", need)
    with pytest.raises(ValueError, match="need each other: .*tiny/high"):
        load_study()


def test_unknown_names_are_refused_with_the_nearest(study_root: Path) -> None:
    study = load_study()
    with pytest.raises(ValueError, match="no table 'tinny'; did you mean 'tiny'"):
        keys_of(study, "lab", ["tinny"])
    with pytest.raises(ValueError, match="no row 'lwo'; did you mean 'low'"):
        resolve(study, key("lwo"))
    with pytest.raises(ValueError, match="no scale 'labs'; did you mean 'lab'"):
        keys_of(study, "labs")


def test_not_yaml_names_the_line(study_root: Path) -> None:
    (study_root / "book" / "study.yml").write_text("scales: [\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"study.yml: line \d+: not valid YAML"):
        load_study()


def test_the_committed_study_resolves_whole() -> None:
    study = load_study(REPOSITORY / "book" / "study.yml")
    for name in study.experiments:
        experiment(name, study.experiments)
    for scale in study.scales:
        runs = [resolve(study, k) for k in with_needs(study, keys_of(study, scale))]
        assert len({run.params_hash for run in runs}) == len(runs), "two runs are the same run"
    for table in study.tables.values():
        for row in table.rows.values():
            for column in table.columns:
                if row.published and column.published:
                    wanted = {**row.published, "metric": column.published}
                    paper = wanted.pop("paper")
                    value = find_published(paper, load_published(paper), wanted, row.name)
                    assert value.source_tag


def _include(root: Path, change_study: Callable, text: str) -> None:
    (root / "book" / "more").mkdir()
    (root / "book" / "more" / "study.yml").write_text(text, encoding="utf-8")
    change_study("tables:\n", "include: [more/study.yml]\ntables:\n")


def test_tables_of_further_files_belong_to_the_study(
    study_root: Path, change_study: Callable
) -> None:
    first = load_study()
    body = (study_root / "book" / "study.yml").read_text(encoding="utf-8").split("tables:", 1)[1]
    _include(
        study_root,
        change_study,
        "tables:" + body.replace("tiny", "small").replace("stage-one", "before"),
    )
    both = load_study()
    assert set(both.tables) == {*first.tables, "small", "before"}
    assert both.table("small").rows.keys() == first.table("tiny").rows.keys()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scales: {}", "more/study.yml: unknown key 'scales'"),
        ("tables: {other: {title: Other}}", "more/study.yml: tables.other.experiment: is missing"),
    ],
)
def test_what_is_wrong_in_a_further_file_names_it(
    study_root: Path, change_study: Callable, text: str, message: str
) -> None:
    _include(study_root, change_study, text)
    with pytest.raises(ValueError, match=message):
        load_study()


def test_a_table_in_two_files_is_refused(study_root: Path, change_study: Callable) -> None:
    text = (study_root / "book" / "study.yml").read_text(encoding="utf-8")
    _include(study_root, change_study, "tables:" + text.split("tables:", 1)[1])
    with pytest.raises(ValueError, match="more/study.yml: table '.*' is in another file already"):
        load_study()


def test_a_table_begins_where_another_stands(study_root: Path, change_study: Callable) -> None:
    change_study(
        "tables:",
        """tables:
  extended:
    title: Like it
    extends: tiny
    scales: {lab: {steps: 7}}
    rows: {own: {change: {value: 3.0}}}""",
    )
    study = load_study()
    longer, tiny = study.table("extended"), study.table("tiny")
    assert longer.columns == tiny.columns and longer.experiment == tiny.experiment
    config = resolve(study, key("own", table="extended")).config
    assert (config.steps, config.batch_size, config.value) == (7, 4, 3.0)
    assert resolve(study, key("own", table="extended", scale="smoke")).config.steps == 1
    assert resolve(study, key("low")).config.steps == 10, "the other stays as it is"
    change_study("extends: tiny", "extends: {table: tiny, scales: [lab]}")
    assert set(load_study().table("extended").scales) == {"lab"} < set(tiny.scales)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("{title: a, extends: tinny}", "tables.one.extends: unknown table 'tinny'.*tiny"),
        ("{title: a, extends: one}", "tables.one.extends: tables extend each other: one"),
        ("{title: a, extends: {table: tiny, scales: [labs]}}", "one.extends.scales: .*labs.*lab"),
        ("{title: a, extends: tiny, scales: [lab], rows: {a: {}}}", "tables.one.scales"),
    ],
)
def test_a_wrong_extension_is_named(study_root, change_study: Callable, body, text) -> None:
    change_study("tables:", f"tables:\n  one: {body}")
    with pytest.raises(ValueError, match=text):
        load_study()
