"""Time and memory against size: each subject a line, in multiples of the smallest size."""

import pytest

from wsisbook.part1.benchmarks import benchmark_rows
from wsisbook.part1.category_costs import cost_figure

ROWS = [
    {"subject": s, "categories": c, "seconds_ratio": c / 80 * k, "peak_ratio": 1.0 + k}
    for k, s in enumerate(("step", "prediction"), start=1)
    for c in (3000, 80, 300)
]


def test_each_subject_is_a_line_in_order_of_size() -> None:
    figure = cost_figure(ROWS)
    time, memory = figure.axes
    assert [line.get_label() for line in time.get_lines()] == ["step", "prediction"]
    assert list(time.get_lines()[1].get_xdata()) == [80, 300, 3000]
    assert list(time.get_lines()[1].get_ydata()) == pytest.approx([2.0, 7.5, 75.0])
    assert list(memory.get_lines()[0].get_ydata()) == [2.0, 2.0, 2.0]
    assert (time.get_title(), memory.get_title()) == ("time", "peak memory")
    assert len(figure._repr_png_()) > 1000


def test_rows_that_lack_something_are_refused() -> None:
    with pytest.raises(ValueError, match="no row to draw"):
        cost_figure([])
    with pytest.raises(ValueError, match="row 'step' lacks peak_ratio"):
        cost_figure([{"subject": "step", "categories": 80, "seconds_ratio": 1.0}])


def test_a_benchmark_that_was_not_run_has_no_rows() -> None:
    assert benchmark_rows("no-such-benchmark") == ([], "benchmark no-such-benchmark was not run")
    rows, machine = benchmark_rows("maskx_cpu")
    assert rows and "torch" in machine
