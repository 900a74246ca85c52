"""WISH as a run: labels, methods and models as settings name them, and what is measured."""

import math
from pathlib import Path

import pytest
import torch

from wsisbook.experiments import wish, wish_insight
from wsisbook.experiments.partial_data import chosen_split, data_sets
from wsisbook.experiments.wish import build_wish_model, loss_weights, weak_data
from wsisbook.experiments.wish_insight import cam_quality, teacher_quality
from wsisbook.experiments.wish_settings import WISH_EXPERIMENT, WishConfig, kinds_held
from wsisbook.runs.config import config_from
from wsisbook.runs.experiments import Context
from wsislib.data.sample import Candidates, Label, LabelKind, Sample
from wsislib.engine.history import read_history
from wsislib.models.mask2former.mask2former import Mask2Former
from wsislib.models.sam import sam_weights
from wsislib.models.sam.sam import Teacher
from wsislib.models.sam.tiny_sam import tiny_sam
from wsislib.models.wish.wish import WISH

SMOKE = {
    "categories": 4, "image_size": 64, "train_count": 6, "val_count": 2, "steps": 2,
    "batch_size": 4, "optimiser": "adamw", "learning_rate": 0.0005, "precision": "float32",
    "log_every": 1, "cam_warmup": 0, "self_start": 1,
}  # fmt: skip


@pytest.fixture
def teacher(monkeypatch, tmp_path):
    """A tiny SAM with random weights in place of the package's, and a build folder of our own."""

    def load(which):
        assert which == "tiny"
        return Teacher(tiny_sam(0, 8, 48, (4, 4, 4, 4)), "random", "f" * 64)

    monkeypatch.setattr(sam_weights, "load_sam", load)
    monkeypatch.setattr(wish, "cache_folder", lambda: tmp_path / "build")
    return load("tiny")


def settings(**changes) -> WishConfig:
    return config_from(WishConfig, {**SMOKE, **changes}, "row")


def run(config: WishConfig, folder: Path):
    return WISH_EXPERIMENT.run(Context(config, 1, folder, "cpu", {}, False))


def test_a_mix_of_all_kinds_is_trained_and_judged(tmp_path: Path, teacher) -> None:
    seen = []
    config = settings(labels="2 tags + 1 points + 1 boxes + 1 masks")
    context = Context(config, 1, tmp_path / "run", "cpu", {}, False, seen.append)
    outcome = WISH_EXPERIMENT.run(context)
    assert isinstance(seen[0], WISH)
    assert outcome.notes["images_by_kind"] == {"tag": 2, "point": 1, "box": 1, "mask": 1}
    assert set(outcome.metrics) == {"segm", "bbox", "per_category", "teacher", "cam"}
    assert set(outcome.metrics["teacher"]) == {"point", "box"}
    assert set(outcome.data) == {"train", "val", "teacher"}
    rows = read_history(outcome.files["history.csv"])
    assert all(math.isfinite(row[f"loss_{name}"]) for row in rows for name in ("prompt", "cam"))
    assert rows[0]["loss_self"] == 0 < rows[1]["loss_cam"]
    assert any("box.matched_share" in row for row in rows)
    assert (tmp_path / "build" / "teacher" / ("f" * 16)).is_dir()


def test_a_mix_may_have_a_prompt_token_for_each_kind(tmp_path: Path, teacher) -> None:
    config = settings(labels="2 tags + 2 points + 2 boxes", prompt_tokens="by-kind")
    model = build_wish_model(config, 4, teacher, 0)
    assert model.prompt_head.tokens == "by-kind"
    outcome = run(config, tmp_path / "run")
    rows = read_history(outcome.files["history.csv"])
    assert all(math.isfinite(row["loss_prompt"]) for row in rows)


@pytest.mark.parametrize(
    ("labels", "b_labels", "kinds"),
    [
        ("masks", "boxes", {"mask", "box"}),
        ("masks", "tags", {"mask", "tag"}),
        ("3 masks + 3 boxes", "points", {"mask", "box", "point"}),
    ],
)
def test_categories_of_b_may_have_cheaper_labels(
    tmp_path: Path, teacher, labels, b_labels, kinds
) -> None:
    config = settings(labels=labels, b_labels=b_labels, a_count=2)
    train, _ = data_sets(config)
    split, weak = chosen_split(config, 4), weak_data(config, train)
    tops = {True: 3, False: ("tags", "points", "boxes").index(b_labels)}
    for kind, sample in zip(weak.kinds, map(weak.__getitem__, range(len(weak))), strict=True):
        wanted = [min(int(kind), tops[c in split.a]) for c in sample.label.categories.tolist()]
        assert sample.label.entry_kinds.tolist() == wanted
    assert {kind.name.lower() for kind in weak.entry_kinds} == kinds
    assert kinds_held(config) == {{"box": "boxes"}.get(kind, f"{kind}s") for kind in kinds}
    metrics = run(config, tmp_path / "run").metrics
    assert {"A", "B", "all"} == set(metrics["segm"])
    assert set(metrics.get("teacher", {})) == kinds - {"mask", "tag"}


def test_a_ceiling_that_holds_nothing_back_is_refused() -> None:
    for labels in ("tags", "points", "2 tags + 3 points"):
        with pytest.raises(ValueError, match="hold nothing dearer, so A and B would not differ"):
            settings(labels=labels, b_labels="points")


@pytest.mark.parametrize("method, labels", [("mask2former", "masks"), ("pseudo-masks", "points")])
def test_baselines_are_plain_mask2formers(tmp_path: Path, teacher, method, labels) -> None:
    config = settings(method=method, labels=labels)
    outcome = run(config, tmp_path / "run")
    assert set(read_history(outcome.files["history.csv"])[0]) >= {"loss_class", "loss_mask"}
    assert "loss_prompt" not in loss_weights(config) and "cam" not in outcome.metrics
    assert ("teacher" in outcome.data) == (method == "pseudo-masks")
    assert type(build_wish_model(config, 4, teacher, 0)) is Mask2Former


def test_labels_are_as_dear_as_they_are_called(teacher) -> None:
    for labels, kind in zip(("tags", "points", "boxes", "masks"), LabelKind, strict=True):
        config = settings(labels=labels)
        train, _ = data_sets(config)
        weak = weak_data(config, train)
        assert set(weak.kinds) == {kind} and len(weak) == 6
    config = settings(labels="2 tags + 1 boxes", label_seed=3)
    weak = weak_data(config, train)
    assert sorted(weak.kinds) == [0, 0, 2]


def test_a_budget_buys_its_shares(teacher) -> None:
    config = settings(labels="budget", budget=24.0, shares={"tags": 0.5, "boxes": 0.5})
    train, _ = data_sets(settings(train_count=20))
    weak = weak_data(config, train)
    assert sorted(weak.kinds) == [0] * 12 + [2]


def test_a_run_may_label_other_images(teacher) -> None:
    train, _ = data_sets(settings(train_count=20))
    same, other = settings(labels="5 boxes"), settings(labels="5 boxes", redraw=True)
    assert weak_data(same, train, 0).image_ids == weak_data(same, train, 1).image_ids
    assert weak_data(same, train, 0).image_ids == weak_data(other, train, 0).image_ids
    assert weak_data(other, train, 1).image_ids != weak_data(other, train, 0).image_ids


def test_settings_reach_the_model(teacher) -> None:
    config = settings(
        prompt_weight=1.0, prompt_distance="l2", prompt_tokens="both", gate=-1.0, self_start=-1,
        cam_warmup=7, loss_weights={"loss_cam": 20.0},
    )  # fmt: skip
    model = build_wish_model(config, 4, teacher, 0)
    assert model.gate is None and model.self_start is None and model.cam_warmup == 7
    assert model.distance.kind == "l2" and model.prompt_head.count == 2
    assert model.segmenter.cost_weights["prompt"] == 1
    weights = loss_weights(config)
    assert weights["loss_prompt"] == 1 and weights["loss_cam"] == 20 and weights["loss_mask"] == 5
    assert build_wish_model(settings(gate=0.25), 4, teacher, 0).gate.min_iou_ratio == 0.25
    other = settings(
        candidate="largest", mask_cost=False, apart=0.9, peak_least=0.5, peak_overlap=1.0
    )
    model = build_wish_model(other, 4, teacher, 0)
    assert (
        model.choice == "largest"
        and model.gate.max_overlap == 0.9
        and model.peaks.threshold == 0.5
        and model.peaks.overlap == 1
    )
    costs = model.segmenter.cost_weights
    assert costs == {"class": 2, "mask": 0, "dice": 0, "prompt": 5}


@pytest.mark.parametrize(
    "wrong, text",
    [
        ({"method": "mask2former", "labels": "boxes"}, "learns from masks; labels are 'boxes'"),
        ({"method": "pseudo-masks", "labels": "3 tags + 3 boxes"}, "tags have none"),
        ({"labels": "some boxes"}, "cannot read 'some boxes'"),
        ({"gate": 2.0}, "gate is 2.0"),
        ({"self_start": -5}, "-1 for never"),
        ({"apart": 1.5}, "apart is 1.5"),
        ({"peak_least": 0.0}, "peak_least and peak_overlap are shares"),
        ({"budget": 9.0}, "budget and shares go with labels 'budget', not 'boxes'"),
        ({"labels": "budget", "budget": 9.0, "shares": {"tags": 0.5}}, "shares sum to 0.5"),
        ({"labels": "budget", "budget": 9.0, "shares": {"tag": 1.0}}, "unknown kind 'tag'.*tags"),
        (
            {"labels": "budget", "budget": 9.0, "shares": {"tags": 0.5, "masks": 0.5}},
            "buys no image of kind MASK at 136",
        ),
        ({"tag_pretraining": True, "builder": "r50"}, "tag_pretraining is for builder 'lab'"),
    ],
)
def test_wrong_settings_are_named(wrong, text) -> None:
    with pytest.raises(ValueError, match=f"row: .*{text}"):
        settings(**wrong)


def test_teacher_quality_by_hand() -> None:
    masks = torch.zeros(1, 4, 4, dtype=torch.bool)
    masks[0, :2] = True  # 8 pixels
    half, more = masks.clone(), masks.clone()
    half[0, 0] = False  # IoU 1/2
    more[0, 2] = True  # IoU 8/12
    offered = Candidates(torch.stack([half, more], 1), torch.tensor([[0.9, 0.2]]))
    image, one = torch.zeros(3, 4, 4), torch.tensor([0])
    box = torch.tensor([[0.0, 0, 4, 2]])
    weak = Sample(image, 1, Label(LabelKind.BOX, one, boxes=box, candidates=offered))
    true = Sample(image, 1, Label(LabelKind.MASK, one, boxes=box, masks=masks))
    found = teacher_quality([(weak, true), (true, true)])
    assert set(found) == {"box"} and found["box"]["instances"] == 1
    assert found["box"]["best"] == pytest.approx(2 / 3)
    assert found["box"]["chosen"] == pytest.approx(1 / 2)


def test_teacher_quality_leaves_out_tags_and_masks() -> None:
    masks = torch.zeros(3, 4, 4, dtype=torch.bool)
    masks[0, :2], masks[1, 2], masks[2, 3] = True, True, True
    boxes = torch.tensor([[0.0, 0, 4, 2], [0, 2, 4, 3], [0, 3, 4, 4]])
    image = torch.zeros(3, 4, 4)
    true = Label(LabelKind.MASK, torch.tensor([2, 0, 1]), boxes=boxes, masks=masks)
    # The tag of category 0 stands last, the entries of the others keep their order.
    offered = torch.zeros(3, 1, 4, 4, dtype=torch.bool)
    offered[1, 0] = masks[2]
    weak = Label(
        LabelKind.TAG,
        torch.tensor([2, 1, 0]),
        boxes=torch.stack([boxes[0], boxes[2], boxes.new_zeros(4)]),
        masks=torch.stack([masks[0], masks.new_zeros(4, 4), masks.new_zeros(4, 4)]),
        kinds=torch.tensor([3, 2, 0], dtype=torch.uint8),
        candidates=Candidates(offered, torch.tensor([[0.0], [0.9], [0.0]])),
    )
    found = teacher_quality([(Sample(image, 1, weak), Sample(image, 1, true))])
    assert found == {"box": {"best": 1.0, "chosen": 1.0, "instances": 1.0}}


def test_cam_quality_counts_points_and_objects(teacher, monkeypatch) -> None:
    points = torch.tensor([[1.5, 1.5], [1.5, 1.5], [30.5, 30.5]])
    label = Label(LabelKind.POINT, torch.tensor([0, 1, 0]), points=points)
    monkeypatch.setattr(
        wish_insight, "add_pseudo_labels", lambda batch, *_: [Sample(batch[0].image, 1, label)]
    )
    masks = torch.zeros(2, 48, 48, dtype=torch.bool)
    masks[0, :4, :4], masks[1, 10:20, 10:20] = True, True
    boxes = torch.tensor([[0.0, 0, 4, 4], [10, 10, 20, 20]])
    truth = Label(LabelKind.MASK, torch.tensor([0, 0]), boxes=boxes, masks=masks)
    model = build_wish_model(settings(), 4, teacher, 0)
    found = cam_quality(model, [Sample(torch.rand(3, 48, 48), 1, truth)])
    # One of three points lies on an object of its category, one of two objects has a point.
    assert found == pytest.approx({"hits": 1 / 3, "found": 1 / 2, "points": 3, "objects": 2})
