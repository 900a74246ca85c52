"""What the chapters on WISH show, from a study with one watched run written by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from tests.models.drawn_teacher import drawn_teacher, random_student
from wsisbook.experiments.watched_wish import SnapshotRecorder
from wsisbook.part2 import wish_show
from wsisbook.part2.wish_show import (
    SHORT,
    batch_table,
    instance_table,
    kind_columns,
    moment_frame,
    moments_of,
    one_of_each,
    short_student,
    student_for,
)
from wsisbook.reading import open_study
from wsislib.atomic import write_json
from wsislib.data.sample import LabelKind
from wsislib.data.world import WorldDataset, WorldSpec
from wsislib.models.sam.sam import Teacher
from wsislib.models.sam.tiny_sam import tiny_sam
from wsislib.models.wish.builders import wish_lab
from wsislib.models.wish.wish import WISH

STUDY = """
experiments:
  watched_wish: wsisbook.experiments.wish_settings:WATCHED_WISH
scales: {smoke: {seeds: [0]}}
tables:
  moments:
    title: Moments
    experiment: watched_wish
    columns: {AP: {metric: moments.last.segm.AP, title: AP}}
    scales: {smoke: {}}
    rows:
      one: {title: one}
      other: {title: other}
      shown: {view: {table: moments, row: one}}
"""


@pytest.fixture
def model():
    teacher = Teacher(tiny_sam(0, 8, 48, (4, 4, 4, 4)), "random", "0")
    model = wish_lab(5, teacher, cam_warmup=0, seed=1).eval()
    torch.nn.init.constant_(model.cam_head.classify.weight, 0.05)
    return model


@pytest.fixture
def scenes() -> WorldDataset:
    return WorldDataset(WorldSpec(categories=5), seed=3, count=5, size=64)


def test_moments_are_read_from_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model, scenes: WorldDataset
) -> None:
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "study.yml").write_text(STUDY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WSIS_RESULTS", raising=False)
    study = open_study("smoke")
    rows = {name: study["moments", name] for name in ("one", "shown", "other")}
    assert moments_of(rows["one"]) == {}
    empty = moment_frame({"a": rows["one"]})
    assert len(empty) == 0 and "hits" in empty
    watch = SnapshotRecorder(model, scenes, [3, 1], tmp_path / "work")
    for step in range(1, 4):
        watch(step)
    folder = tmp_path / "build" / "smoke" / "runs" / "moments" / "one" / "seed-0"
    folder.mkdir(parents=True)
    watch.gather().replace(folder / "moments.safetensors")
    write_json(folder / "metrics.json", {"moments": watch.metrics()})
    for row in ("one", "shown"):
        seen = moments_of(rows[row])
        assert list(seen) == [1, 3] and set(seen[1]) == set(scenes.image_ids)
    frame = moment_frame({"a": rows["one"], "b": rows["shown"], "c": rows["other"]})
    assert frame["row"].tolist() == ["a", "a", "b", "b"]
    assert frame["step"].tolist() == [1, 3, 1, 3]
    assert (frame["objects"] > 0).all() and frame["AP"].notna().all()


def test_a_batch_of_all_kinds_holds_what_was_told(model, scenes: WorldDataset) -> None:
    batch = one_of_each(scenes, first=1, seed=2)
    assert [sample.label.kind for sample in batch] == list(LabelKind)
    assert [sample.image_id for sample in batch] == [2, 3, 4, 5]
    table = batch_table(batch)
    held = table.drop(columns=["label", "categories"]) != "nothing"
    assert held.to_numpy().tolist() == [
        [False, False, False, False],
        [True, False, False, False],
        [False, True, False, False],
        [False, True, True, False],
    ]
    count = len(batch[3].label)
    assert table.loc[5, "masks"] == f"{count} x 64 x 64"
    frame = instance_table(model, batch)
    assert (frame["label"] == "mask").sum() == count
    masks = frame[frame["label"] == "mask"]
    assert (masks["allowed candidates"] == 1).all()
    assert masks["their pixels"].tolist() == [
        str(int(mask.sum())) for mask in scenes[4].label.masks
    ]
    others = frame[frame["label"] != "mask"]
    assert others["allowed candidates"].between(1, 3).all()
    assert set(frame["label"]) == {"tag", "point", "box", "mask"}
    assert set(frame["numbers in Z"]) == {8}


def test_columns_of_a_history_by_kind() -> None:
    history = pd.DataFrame(
        {"step": [2, 4, 6], "tag.matched_share": [None, 0.5, 0.7], "box.matched_share": [1, 1, 1]}
    )
    found = kind_columns(history, "matched_share")
    assert list(found) == ["tag", "box"]
    assert found["tag"].to_dict() == {4: 0.5, 6: 0.7}


TINY = replace(
    SHORT,
    labels="2 points + 2 boxes",
    categories=4,
    train_count=4,
    batch_size=2,
    tag_pretraining=False,
)


@pytest.fixture(autouse=True)
def teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wish_show, "teacher_of", lambda config: drawn_teacher())


def test_the_same_seed_gives_the_same_student() -> None:
    one, two = (short_student(1, 3, TINY) for _ in range(2))
    assert int(one.steps) == 1 and not one.training
    states = [list(model.state_dict().values()) for model in (one, two)]
    assert all(torch.equal(a, b) for a, b in zip(*states, strict=True))
    began = random_student(4).state_dict()["prompt_head.layers.0.weight"]
    assert not torch.equal(began, one.state_dict()["prompt_head.layers.0.weight"])


def test_the_run_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = random_student()
    monkeypatch.setattr(wish_show, "load_student", lambda *which: kept)
    student, said = student_for("lab", 0, 7)
    assert student is kept and said == "the student of a run at lab scale"


def test_without_the_run_the_page_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(scale: str, seed: int, table: str, row: str) -> WISH:
        raise ValueError(f"the run {table}/{row} has no student yet")

    monkeypatch.setattr(wish_show, "load_student", missing)
    monkeypatch.setattr(wish_show, "SHORT", TINY)
    student, said = student_for("lab", 0, 1)
    assert int(student.steps) == 1
    assert (
        said.startswith("the run wish-moments/everything has no student yet\n")
        and "1 steps" in said
    )
