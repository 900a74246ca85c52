"""What rows found, beside the truth: which panels there are, and what stands above them."""

import pytest
from matplotlib.figure import Figure

from wsisbook.experiments.partial_data import data_sets
from wsisbook.experiments.settings import PartialDataConfig
from wsisbook.runs.state import RunState
from wsisbook.tables import qualitative_figure, show
from wsisbook.tables.qualitative_figure import found_figure
from wsislib.data.sample import Detections
from wsislib.engine.predict import as_results

CONFIG = PartialDataConfig(categories=4, image_size=64, train_count=2, val_count=3, steps=1)


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row `done` that found the first object of scene 0, and a row `missing`."""
    truth = data_sets(CONFIG)[1]
    scene = truth[0]
    label = scene.label
    assert label.masks is not None and label.boxes is not None
    score = label.boxes.new_ones(1)
    found = Detections(label.boxes[:1], score, label.categories[:1], label.masks[:1])
    seen = {"done": as_results(found, scene.image_id, truth.categories), "missing": []}
    monkeypatch.setattr(show, "run_config", lambda *asked: CONFIG)
    monkeypatch.setattr(show, "examples", lambda table, row, seed, scale: seen[row])
    state = {"done": RunState("done", (), True), "missing": RunState("missing")}
    monkeypatch.setattr(show, "state_of", lambda table, row, seed, scale: state[row])


def titles(figure: Figure) -> list[str]:
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


def test_a_row_that_was_not_run_is_said_to_be_so(rows: None) -> None:
    figure = found_figure("table", {"ours": "done", "theirs": "missing"}, [0, 4])
    assert titles(figure) == ["truth", "ours", "theirs (not run)"]
    assert len(figure.axes) == 2 * 3, "scene 4 of 3 is scene 1"


def test_what_was_found_is_drawn(rows: None, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = {}

    def pictures(lines, names, **kwargs):
        drawn["lines"] = lines

    monkeypatch.setattr(qualitative_figure, "pictures", pictures)
    found_figure("table", ["done", "missing"], [0, 1])
    counts = [[len(panel.shown) for panel in line] for line in drawn["lines"]]
    truth = [len(data_sets(CONFIG)[1][index].label) for index in (0, 1)]
    assert counts == [[truth[0], 1, 0], [truth[1], 0, 0]]
