"""A tiny study in a folder of its own, with an experiment that takes no time."""

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent

STUDY = """
experiments: {fake: "fake_experiment_for_tests:FAKE"}
scales:
  lab: {seeds: [0, 1, 2]}
  smoke: {seeds: [0]}
tables:
  stage-one:
    title: Detectors
    experiment: fake_experiment_for_tests:FAKE
    columns: {AP: {metric: segm.B.AP, title: AP}}
    scales: {lab: {}, smoke: {}}
    rows:
      detector: {change: {value: 5.0}}
  tiny:
    title: A tiny table
    experiment: fake_experiment_for_tests:FAKE
    notebook: part/tiny
    columns:
      AP_B: {metric: segm.B.AP, title: AP on B, published: AP}
    settings: {batch_size: 4}
    scales: {lab: {steps: 10}, smoke: {steps: 1}}
    rows:
      low:
        change: {value: 10.0}
        published: {paper: a-paper, table: table-1, row: low}
      high:
        change: {value: 20.0}
        needs: {detector: {table: stage-one, row: detector}}
      "high-{size}":
        for: {size: [3, 4]}
        title: "size {size}"
        change: {value: "{size}"}
        seeds: {lab: [0]}
      shown:
        view: {table: stage-one, row: detector}
"""

PUBLISHED = """table,row,direction,dataset,backbone,metric,value,source_tag,note
table-1,low,,,,AP,12.5,S1,
"""


@pytest.fixture
def study_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with `STUDY`; the current folder, with the fake experiment at hand."""
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "study.yml").write_text(STUDY, encoding="utf-8")
    paper = tmp_path / "papers" / "a-paper"
    paper.mkdir(parents=True)
    (paper / "published.csv").write_text(PUBLISHED, encoding="utf-8")
    (paper / "sources.csv").write_text("tag,what,address,standing\nS1,x,,\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WSIS_RESULTS", raising=False)
    monkeypatch.delenv("WSIS_BATCH", raising=False)
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "executions.txt"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), *filter(None, [_path()])]))
    monkeypatch.syspath_prepend(str(HERE))
    return tmp_path


def _path() -> str:
    return os.environ.get("PYTHONPATH", "")


@pytest.fixture
def executions(study_root: Path) -> Callable[[], list[str]]:
    """Called: one 'value seed' for each time the experiment was started so far."""

    def read() -> list[str]:
        log = study_root / "executions.txt"
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        return [" ".join(line.split()[:2]) for line in lines]

    return read


@pytest.fixture
def change_study(study_root: Path) -> Callable[[str, str], None]:
    """Called with an old and a new text: changes study.yml."""

    def change(old: str, new: str) -> None:
        file = study_root / "book" / "study.yml"
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")

    return change


@pytest.fixture
def wsis() -> list[str]:
    """The command line of `wsis`."""
    return [sys.executable, "-m", "wsisbook.cli"]


@pytest.fixture
def wait_for() -> Callable[[Callable[[], bool]], None]:
    """Called with a condition that another process brings about: waits, no longer than needed."""

    def wait(condition: Callable[[], bool]) -> None:
        clock = threading.Event()
        for _ in range(6000):
            if condition():
                return
            clock.wait(0.01)
        raise AssertionError("it did not come about within a minute")

    return wait


@pytest.fixture(scope="module")
def student():
    """The lab's WISH with random weights."""
    from tests.models.drawn_teacher import random_student

    return random_student()


@pytest.fixture(scope="module")
def scene(student):
    """A scene of three objects in the student's categories."""
    from wsisbook.part2.matching_trace import scene_with, scenes_for

    return scene_with(scenes_for(student, 7, 20), 3)
