"""A student for a page: the run's where there is one, else one that was trained on the spot."""

from dataclasses import replace

import pytest
import torch

from tests.models.drawn_teacher import drawn_teacher, random_student
from wsisbook.experiments import watched_wish, wish
from wsisbook.part2 import short_student
from wsislib.models.wish.wish import WISH

TINY = replace(
    short_student.SHORT,
    labels="2 points + 2 boxes",
    categories=4,
    train_count=4,
    batch_size=2,
    tag_pretraining=False,
)


@pytest.fixture(autouse=True)
def teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wish, "teacher_of", lambda config: drawn_teacher())


def test_the_same_seed_gives_the_same_student() -> None:
    one, two = (short_student.short_student(1, 3, TINY) for _ in range(2))
    assert int(one.steps) == 1 and not one.training
    states = [list(model.state_dict().values()) for model in (one, two)]
    assert all(torch.equal(a, b) for a, b in zip(*states, strict=True))
    began = random_student(4).state_dict()["prompt_head.layers.0.weight"]
    assert not torch.equal(began, one.state_dict()["prompt_head.layers.0.weight"])


def test_the_run_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = random_student()
    monkeypatch.setattr(watched_wish, "load_student", lambda *which: kept)
    student, said = short_student.student_for("lab", 0, 7)
    assert student is kept and said == "the student of a run at lab scale"


def test_without_the_run_the_page_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(scale: str, seed: int, table: str, row: str) -> WISH:
        raise ValueError(f"the run {table}/{row} has no student yet")

    monkeypatch.setattr(watched_wish, "load_student", missing)
    monkeypatch.setattr(short_student, "SHORT", TINY)
    student, said = short_student.student_for("lab", 0, 1)
    assert int(student.steps) == 1
    assert (
        said.startswith("the run wish-moments/everything has no student yet\n")
        and "1 steps" in said
    )
