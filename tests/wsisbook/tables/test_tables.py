"""Tables: what a cell shows, when it is bold, stale or not run, and where it leads."""

import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from wsisbook.runs.declared import Column
from wsisbook.runs.run import execute
from wsisbook.runs.spec import load_study
from wsisbook.runs.state import run_state
from wsisbook.runs.store import open_store
from wsisbook.tables import tables
from wsisbook.tables.cells import Cell, mean_std, metric_value
from wsisbook.tables.table_result import TableResult
from wsisbook.tables.tables import Results, write_tables


def table_result(name: str, scale: str = "lab") -> TableResult:
    """A table from the runs as they are now."""
    study = load_study()
    return Results(study, open_store(scale, study.root), scale).table(name)


def fill(rows: tuple[str, ...] = ("low", "high"), seeds: tuple[int, ...] = (0, 1, 2)) -> None:
    for row in rows:
        for seed in seeds:
            execute("tiny", row, seed, "lab")


def test_a_cell_is_mean_and_sample_deviation_over_seeds(study_root: Path) -> None:
    fill()
    cell = table_result("tiny").cell("low", "AP_B")
    assert cell.values == pytest.approx((10.0, 10.1, 10.2))
    assert cell.mean == pytest.approx(10.1) and cell.std == pytest.approx(0.1)
    assert cell.text == "10.1 ± 0.1 (3 seeds)"
    assert cell.published is not None and cell.published.value == 12.5
    assert cell.runs == tuple(f"runs/tiny/low/seed-{n}" for n in (0, 1, 2))


def test_a_view_shows_the_other_rows_runs(study_root: Path) -> None:
    fill(("high",))
    cell = table_result("tiny").cell("shown", "AP_B")
    assert cell.text == "5.1 ± 0.1 (3 seeds)"
    assert cell.runs[0] == "runs/stage-one/detector/seed-0"


def test_not_run_partly_run_and_stale_are_said(study_root: Path, change_study: Callable) -> None:
    assert table_result("tiny").cell("low", "AP_B").text == "not run"
    fill(("low",), (0,))
    assert table_result("tiny").cell("low", "AP_B").text == "10.0 (1 of 3 seeds)"
    change_study("lab: {steps: 10}", "lab: {steps: 11}")
    cell = table_result("tiny").cell("low", "AP_B")
    assert (cell.text, cell.state) == ("10.0 (1 of 3 seeds) stale", "stale")
    assert "seed 0: steps: 10 -> 11" in cell.reasons
    fill(("low",), (1,))
    fresh = table_result("tiny").cell("low", "AP_B")
    assert fresh.text == "10.1 (1 of 3 seeds)", "old and new numbers are never mixed"


def test_deleting_a_run_changes_exactly_its_cells(study_root: Path) -> None:
    fill()
    before = table_result("tiny").long()
    for seed in (0, 1, 2):
        shutil.rmtree(study_root / f"results/runs/tiny/low/seed-{seed}")
    after = table_result("tiny").long()
    changed = before.index[(before.map(str) != after.map(str)).any(axis=1)]
    assert list(before.loc[changed, "row"]) == ["low"]
    assert list(after.loc[changed, "state"]) == ["not run"]


def test_bold_needs_a_lead_in_every_seed(study_root: Path, change_study: Callable) -> None:
    fill()
    for seed in (0, 1, 2):
        execute("stage-one", "detector", seed, "lab")
    change_study("  \"high-{size}\":\n        for: {size: [3, 4]}", "  \"high-{size}\":\n"
                 "        compare: false\n        for: {size: [3, 4]}")  # fmt: skip
    assert table_result("tiny").best("AP_B") == ("high",)
    change_study("{value: 20.0}", "{value: 10.0}")
    assert table_result("tiny").best("AP_B") == (), "a stale cell takes part in no comparison"
    fill()
    assert table_result("tiny").best("AP_B") == (), "a tie"
    # Seeds move all rows alike: a lead that is the same in every seed is one, however small.
    change_study("{value: 10.0}\n        needs", "{value: 10.05}\n        needs")
    fill()
    assert table_result("tiny").best("AP_B") == ("high",)
    change_study("published: AP}", "published: AP, better: lower}")
    assert table_result("tiny").best("AP_B") == ("shown",)


def test_reference_rows_are_in_italics_and_the_caption_says_so(
    study_root: Path, change_study: Callable
) -> None:
    fill(("low", "high", "high-3"))
    plain = table_result("tiny").styled().to_html()
    assert "font-style: italic" not in plain and "Italics" not in plain
    assert "Bold: ahead of all other rows, the 95% interval" in plain
    change_study("      high:\n", "      high:\n        compare: false\n")
    page = table_result("tiny").styled().to_html()
    assert "font-style: italic" in page and "Italics: for reference" in page
    assert "ahead of all other upright rows" in page


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_few_seeds_are_never_bold(study_root: Path, seeds: tuple[int, ...]) -> None:
    fill(seeds=seeds)
    assert table_result("tiny").best("AP_B") == ()


def test_one_seed_alone_is_never_bold(study_root: Path) -> None:
    for row in ("low", "high"):
        execute("tiny", row, 0, "smoke")
    assert table_result("tiny", "smoke").best("AP_B") == ()


def test_the_csv_holds_every_cell_with_its_runs(study_root: Path) -> None:
    fill()
    study = load_study()
    (file,) = write_tables(Results(study, open_store("lab"), "lab"), ["tiny"])
    assert file == study_root / "results/tables/tiny.csv"
    frame = pd.read_csv(file).set_index("row")
    assert frame.loc["low", "mean"] == 10.1 and frame.loc["low", "published"] == 12.5
    assert frame.loc["low", "source"] == "a-paper:S1" and frame.loc["low", "n"] == 3
    assert frame.loc["high-3", "state"] == "not run" and math.isnan(frame.loc["high-3", "mean"])
    for run in frame.loc["low", "runs"].split():
        assert (study_root / "results" / run / "metrics.json").is_file()
    assert not Path(str(frame.loc["low", "runs"])).is_absolute()


def test_each_number_on_the_page_links_to_its_run(study_root: Path) -> None:
    fill()
    result = table_result("tiny")
    page = result._repr_html_().replace("\u00a0", " ")
    lines = result.provenance._repr_html_()
    assert 'class="dataframe"' in page and "<details" not in page and "<details" in lines
    assert 'href="#runs-tiny-low-seed-0"' in page and 'id="runs-tiny-low-seed-0"' in lines
    assert "12.5" in page and ">10.1 ± 0.1<" in page and "not run" in page
    assert "over seeds, 3 seeds; lab scale" in page
    assert str(study_root) not in page + lines
    frame = table_result("tiny").provenance
    assert list(frame["seed"]) == [0, 1, 2] * 3
    assert set(frame["device"]) == {"cpu: fake"}
    assert table_result("tiny").styled().to_html() == table_result("tiny").styled().to_html()


def test_the_terminal_shows_the_same(study_root: Path) -> None:
    fill()
    text = repr(table_result("tiny"))
    assert text.startswith("A tiny table (tiny, scale lab, 3 seeds)")
    assert "20.1 ± 0.1 *" in text and "12.5" in text


def test_a_cell_with_other_seeds_says_so(study_root: Path) -> None:
    fill(("low",))
    fill(("high", "high-3"), (0,))
    for seed in (1, 2):
        execute("stage-one", "detector", seed, "lab")
    text = repr(table_result("tiny"))
    assert "10.1 ± 0.1\n" in text, "three seeds, as the caption says"
    assert "20.0 (1 of 3 seeds)" in text and "3.0 (1 seed)" in text
    assert "3 seeds unless a cell says otherwise" in table_result("tiny").styled().to_html()


def test_a_wide_table_says_that_it_scrolls(study_root: Path, change_study: Callable) -> None:
    assert "scroll" not in table_result("tiny").styled().to_html()
    column = "      AP_B: {metric: segm.B.AP, title: AP on B, published: AP}\n"
    more = "".join(column.replace("AP_B", f"c{n}").replace("on B", f"{n}") for n in range(4))
    change_study(column, column + more)
    assert "scroll sideways" in table_result("tiny").styled().to_html()


def test_values_of_seeds_go_by_titles(grouped: Callable) -> None:
    fill(("low", "high"))
    assert table_result("tiny").seed_values("AP_B") == {
        "T of <b>": {"few & far": pytest.approx((10.0, 10.1, 10.2)), "many": (5.0, 5.1, 5.2)},
        "high": {"few & far": pytest.approx((20.0, 20.1, 20.2))},
        "size 3": {"many": ()},
        "size 4": {"many": ()},
    }


GROUPS = {
    "      low:\n": "      low:\n        title: T of <b>\n        group: few & far\n",
    "      high:\n": "      high:\n        group: few & far\n",
    'title: "size {size}"': 'title: "size {size}"\n        group: many',
    "      shown:\n": "      shown:\n        title: T of <b>\n        group: many\n",
}


@pytest.fixture
def grouped(study_root: Path, change_study: Callable) -> Callable[[str, str], None]:
    """The tiny table in two groups: {low, high} and {high-3, high-4, shown}."""
    for old, new in GROUPS.items():
        change_study(old, new)
    return change_study


def test_rows_stand_under_their_group(grouped: Callable) -> None:
    assert list(table_result("tiny").wide().index) == [
        ("few & far", "T of <b>"), ("few & far", "high"),
        ("many", "size 3"), ("many", "size 4"), ("many", "T of <b>"),
    ]  # fmt: skip
    grouped(
        "        group: few & far\n        change: {value: 20.0}", "        change: {value: 20.0}"
    )
    assert ("", "high") in table_result("tiny").wide().index, "a group for some is a column for all"


def test_without_groups_there_is_no_column_of_them(study_root: Path) -> None:
    assert list(table_result("tiny").wide().index) == ["low", "high", "size 3", "size 4", "shown"]


def test_two_rows_of_one_group_need_two_titles(grouped: Callable) -> None:
    grouped("T of <b>\n        group: many", "size 3\n        group: many")
    with pytest.raises(ValueError, match="table 'tiny': two rows are titled 'size 3'"):
        table_result("tiny").wide()


def test_each_group_has_its_own_best(grouped: Callable) -> None:
    grouped("seeds: {lab: [0]}", "seeds: {lab: [0, 1, 2]}")
    fill(("low", "high", "high-3", "high-4"))
    for seed in (0, 1, 2):
        execute("stage-one", "detector", seed, "lab")
    assert table_result("tiny").best("AP_B") == ("high", "shown")
    grouped("{value: 5.0}", "{value: 4.0}")
    for seed in (0, 1, 2):
        execute("stage-one", "detector", seed, "lab")
    fill(("high",))
    assert table_result("tiny").best("AP_B") == ("high",), "a tie in one group is no tie in another"


def test_a_grouped_table_names_each_group_once(grouped: Callable) -> None:
    fill(("low", "high"))
    page = table_result("tiny")._repr_html_().replace("\u00a0", " ")
    assert page.count(">few &amp; far</th>") == 1 and page.count(">many</th>") == 1
    assert page.count(">T of &lt;b&gt;</th>") == 2 and "<b>" not in page
    assert 'rowspan="2">few &amp; far' in page and 'rowspan="3">many' in page
    assert "font-weight: bold" in page and "of its group" in page
    # The bold number stands in the row of `high`, nowhere else.
    bold = re.findall(r"#T_t-tiny_row(\d+)_col(\d+)(?=[^}]*font-weight: bold)", page)
    assert len(bold) == 1
    row, column = bold[0]
    place = rf'id="T_t-tiny_row{row}_col{column}"[^>]*><a href="#runs-tiny-high-seed-0"'
    assert re.search(place, page)


def test_the_terminal_shows_groups_too(grouped: Callable) -> None:
    fill(("low", "high"))
    lines = repr(table_result("tiny")).splitlines()
    assert [line.split()[0] for line in lines if line.startswith(("few", "many"))] == [
        "few",
        "many",
    ]
    assert sum("T of <b>" in line for line in lines) == 2
    assert [line.split()[0] for line in lines if "20.1 ± 0.1 *" in line] == ["high"]


def test_a_table_without_groups_says_nothing_of_them(study_root: Path) -> None:
    assert "of its group" not in table_result("tiny").styled().to_html()


def test_each_run_is_hashed_once(study_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where several rows show it, as those of table 1 do."""
    execute("stage-one", "detector", 0, "lab")
    judged = []

    def counting(study, store, key):
        judged.append(key)
        return run_state(study, store, key)

    monkeypatch.setattr(tables, "run_state", counting)
    results = Results(load_study(), open_store("lab"), "lab")
    for name in ("tiny", "stage-one", "tiny"):
        results.table(name)
    assert len(judged) == len(set(judged)) and "stage-one/detector/seed-0" in map(str, judged)
    assert results.table("tiny") is results.table("tiny")


def test_a_mean_is_written_in_one_way() -> None:
    assert mean_std([1.0, 2.0]) == "1.5 ± 0.7" and mean_std([0.26], 2) == "0.26"
    assert mean_std([1.0], sign="+") == "+1.0"


@pytest.mark.parametrize("path", ["segm.B", "segm.C.AP", "segm.B.AP.more", "flag", "nothing"])
def test_a_metric_that_is_no_number_is_none(path: str) -> None:
    assert metric_value({"segm": {"B": {"AP": None}}, "flag": True, "nothing": None}, path) is None


def test_a_misspelt_metric_is_named(study_root: Path, change_study: Callable) -> None:
    fill(("low",), (0,))
    study = load_study()
    assert Results(study, open_store("lab", study.root), "lab").unknown_metrics("tiny") == []
    change_study("{metric: segm.B.AP, title: AP on B", "{metric: segm.B.APP, title: AP on B")
    study = load_study()
    (line,) = Results(study, open_store("lab", study.root), "lab").unknown_metrics("tiny")
    assert "column 'AP_B' asks for the metric 'segm.B.APP', which no run has" in line


def test_an_undefined_value_counts_as_not_run() -> None:
    cell = Cell("row", Column("AP", "AP", "AP"), (), (), 3, "not run")
    assert cell.text == "not run" and math.isnan(cell.mean) and math.isnan(cell.std)


def test_a_number_that_finished_runs_do_not_have_is_a_dash(
    study_root: Path, change_study: Callable
) -> None:
    fill(("low",), (0, 1))
    change_study("metric: segm.B.AP", "metric: segm.nowhere.AP")
    assert table_result("tiny").cell("low", "AP_B").text == "not run"  # the third may have it
    fill(("low",))
    cell = table_result("tiny").cell("low", "AP_B")
    assert (cell.text, cell.state) == ("–", "absent")
    assert cell.reasons == ("its runs have no segm.nowhere.AP",)
