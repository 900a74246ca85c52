"""Heads side by side as a run: from study.yml to each head's numbers."""

import json
import math
from pathlib import Path

import pandas as pd
import pytest
import torch

from wsisbook.experiments.embedding import embedding_of, word_vectors
from wsisbook.experiments.settings import MaskHeadsConfig
from wsisbook.runs.config import config_from
from wsisbook.runs.declared import RunKey
from wsisbook.runs.resolve import resolve
from wsisbook.runs.run import execute
from wsisbook.runs.spec import load_study
from wsisbook.runs.store import RunStore
from wsisbook.tables.tables import Results
from wsislib.data.sample import Category

STUDY = """
experiments:
  mask_heads: wsisbook.experiments.settings:MASK_HEADS
  mask_rcnn: wsisbook.experiments.settings:MASK_RCNN
scales:
  smoke: {seeds: [0]}
tables:
  detectors:
    title: Detectors
    experiment: mask_rcnn
    columns: {AP: {metric: bbox.all.AP, title: AP}}
    settings: {stage: detector, masks: none}
    scales:
      smoke: &smoke
        categories: 6
        a_count: 3
        train_count: 8
        val_count: 3
        steps: 3
        batch_size: 4
        optimiser: adamw
        learning_rate: 0.001
        precision: float32
        log_every: 1
    rows:
      shared: {title: detector}
      elsewhere: {title: of another world, change: {world_seed: 5}}
  heads:
    title: Heads
    experiment: mask_heads
    columns: {AP: {metric: segm.B.AP, title: AP}}
    scales: {smoke: *smoke}
    rows:
      all:
        title: side by side
        needs: {detector: {table: detectors, row: shared}}
        change:
          heads:
            agnostic: {kind: class-agnostic}
            clsbox: {kind: transfer, mlp_layers: 1}
            words: {kind: transfer, inputs: embedding, layers: 1, a_count: 5}
            oracle: {kind: class-specific, masks: all}
      agnostic: {title: baseline, view: {table: heads, row: all, prefix: agnostic}}
      oracle: {title: oracle, view: {table: heads, row: all, prefix: oracle}}
      elsewhere:
        title: detector of another world
        needs: {detector: {table: detectors, row: elsewhere}}
        change: {heads: {agnostic: {}}}
      alone:
        title: the baseline in a run of its own
        experiment: mask_rcnn
        needs: {detector: {table: detectors, row: shared}}
        change: {stage: mask-head, mask_head: class-agnostic}
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study whose runs are made once for all tests here."""
    folder = tmp_path_factory.mktemp("heads")
    (folder / "book").mkdir()
    (folder / "book" / "study.yml").write_text(STUDY, encoding="utf-8")
    for row in ("all", "alone"):
        run(folder, row)
    return folder


def run(root: Path, row: str) -> dict:
    """Metrics of a row of the table `heads`."""
    study = load_study(root / "book" / "study.yml")
    done = execute(
        "heads", row, 0, "smoke", root / "results", study=study, device="cpu", progress=False
    )
    return json.loads((done.folder / "metrics.json").read_text(encoding="utf-8"))


def test_every_head_is_trained_and_judged(root: Path) -> None:
    metrics = run(root, "all")
    assert list(metrics) == ["agnostic", "clsbox", "words", "oracle"]
    for head in metrics.values():
        assert {side: len(head["segm"][side]) for side in ("A", "B", "all")} == {
            "A": 12, "B": 12, "all": 12,
        }  # fmt: skip
        assert len(head["per_category"]["segm"]) == 6
    assert metrics["agnostic"]["bbox"] == metrics["oracle"]["bbox"]
    study = load_study(root / "book" / "study.yml")
    folder = RunStore(root / "results").folder(RunKey("smoke", "heads", "all", 0))
    history = pd.read_csv(folder / "history.csv")
    names = [f"loss_mask.{name}" for name in metrics]
    assert {name for name in history.columns if "loss" in name} == set(names)
    assert (history[names].sum(axis=1) - history["total"]).abs().max() < 1e-5
    record = resolve(study, RunKey("smoke", "heads", "all", 0)).record()
    assert record["settings"]["heads"]["oracle"] == {"kind": "class-specific", "masks": "all"}
    assert record["parts"]["transfer"] and record["parts"]["mask_rcnn"]


def test_a_head_in_company_has_the_numbers_of_a_run_of_its_own(root: Path) -> None:
    together, alone = run(root, "all")["agnostic"], run(root, "alone")
    for kind in ("segm", "bbox"):
        for side in ("A", "B", "all"):
            for name, value in alone[kind][side].items():
                other = together[kind][side][name]
                assert other == value or (math.isnan(other) and math.isnan(value))
    store = RunStore(root / "results")
    one, other = (
        pd.read_csv(store.folder(RunKey("smoke", "heads", row, 0)) / "history.csv")
        for row in ("all", "alone")
    )
    assert one["loss_mask.agnostic"].tolist() == other["loss_mask"].tolist()


def test_rows_show_heads_by_view(root: Path) -> None:
    study = load_study(root / "book" / "study.yml")
    assert resolve(study, RunKey("smoke", "heads", "oracle", 0)).key.row == "all"
    table = Results(study, RunStore(root / "results"), "smoke").table("heads")
    wanted = {name: run(root, "all")[name]["segm"]["B"]["AP"] for name in ("agnostic", "oracle")}
    for name, value in wanted.items():
        cell = table.cell(name, "AP")
        assert cell.state == "done" and cell.values == (value,)


def test_a_detector_of_other_categories_is_refused_before_training(root: Path) -> None:
    with pytest.raises(ValueError, match="trained with world_seed = 5, but this run has 0"):
        run(root, "elsewhere")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"heads": {"a": {"kind": "transfer", "input": "cls"}}}, "heads.a: unknown key 'input'"),
        ({"heads": {"a": {"kind": "transfr"}}}, "heads.a.kind: unknown value 'transfr'"),
        ({"heads": {"a": {"layers": 4}}}, "heads.a: layers is 4; use 1 to 3"),
        ({"heads": {"a": {"mlp_layers": "one"}}}, "heads.a.mlp_layers: .*integer, not 'one'"),
        ({"clip_norm": 1.0}, "clip_norm is 1.0; heads side by side are trained without"),
    ],
)
def test_wrong_settings_are_named(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config_from(MaskHeadsConfig, settings, "row")


GLOVE = """the 0.1 0.2
horse 1 2
Traffic 3 0
light 1 2
hot_dog 5 5
dog 9 9
"""


def test_word_vectors_are_found_by_name_and_by_words(tmp_path: Path) -> None:
    file = tmp_path / "glove.txt"
    file.write_text(GLOVE, encoding="utf-8")
    found = word_vectors(file, ["Horse", "traffic light", "hot dog"])
    assert torch.equal(found, torch.tensor([[1.0, 2], [2, 1], [5, 5]]))
    with pytest.raises(ValueError, match="no vector for 2 of 3 categories .'zebra', 'sea horse'"):
        word_vectors(file, ["horse", "zebra", "sea horse"])
    file.write_text("horse 1 2\ndog 1\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"line 2 \('dog'\) holds 1 numbers, lines before it 2"):
        word_vectors(file, ["horse", "dog"])
    file.write_text("horse 1 nan\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"line 1 \('horse'\) holds no numbers, NaN or infinity"):
        word_vectors(file, ["horse"])
    file.write_text("horse 1 x\n", encoding="utf-8")
    with pytest.raises(ValueError, match="something that is no number"):
        word_vectors(file, ["horse"])


class _Photographs:
    categories = (Category(1, "horse"), Category(2, "dog"))


def test_embeddings_come_from_the_world_or_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = embedding_of(MaskHeadsConfig(categories=6, embedding_width=9), _Photographs())
    assert world.shape == (6, 9)
    with pytest.raises(ValueError, match="photographs have no embedding of their own"):
        embedding_of(MaskHeadsConfig(data="coco"), _Photographs())
    (tmp_path / "glove.txt").write_text(GLOVE, encoding="utf-8")
    monkeypatch.setenv("WSIS_DATA", str(tmp_path))
    words = embedding_of(MaskHeadsConfig(embedding_file="glove.txt"), _Photographs())
    assert torch.equal(words, torch.tensor([[1.0, 2], [9, 9]]))


def test_heads_that_learn_from_all_masks_are_judged_in_both_directions(root: Path) -> None:
    metrics = run(root, "all")
    assert {name for name, head in metrics.items() if "reversed" in head} == {"oracle"}
    oracle = metrics["oracle"]
    for kind in ("segm", "bbox"):
        assert oracle["reversed"][kind]["A"] == oracle[kind]["B"]
        assert oracle["reversed"][kind]["B"] == oracle[kind]["A"]
