"""A detector cut to its first categories and made whole again."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.numeric import OTHER_SHAPE, close
from wsisbook.experiments.category_subset import (
    BoxRows,
    box_rows,
    keep_first_categories,
    restore_categories,
)
from wsislib.models.maskrcnn.builders import mask_rcnn_lab, maskx_rcnn_lab
from wsislib.models.maskrcnn.mask_heads import MaskHeads

CATEGORIES, KEPT = 9, 5  # the fixture's samples have 5 categories


def test_cutting_keeps_the_first_rows_and_restoring_gives_all_back_bit_for_bit():
    model = maskx_rcnn_lab(CATEGORIES)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    rows = keep_first_categories(model, KEPT)
    predictor = model.roi.box_predictor
    for layer, each in ((predictor.cls_score, 1), (predictor.bbox_pred, 4)):
        stem = "cls_score" if each == 1 else "bbox_pred"
        assert layer.out_features == each * (KEPT + 1)
        for part in ("weight", "bias"):
            whole = before[f"roi.box_predictor.{stem}.{part}"]
            assert torch.equal(getattr(layer, part), whole[: each * (KEPT + 1)])
    others = {n: v for n, v in model.state_dict().items() if "box_predictor" not in n}
    assert all(torch.equal(value, before[name]) for name, value in others.items())
    restore_categories(model, rows)
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_at_the_size_of_the_paper_81_and_3002_rows():
    model = maskx_rcnn_lab(3001)
    rows = keep_first_categories(model, 80)
    predictor = model.roi.box_predictor
    assert predictor.cls_score.weight.shape[0] == 81
    assert predictor.bbox_pred.weight.shape[0] == 324
    assert model.mask.predictor.mask_weights().shape[0] == 81
    restore_categories(model, rows)
    assert predictor.cls_score.weight.shape[0] == 3002
    assert predictor.bbox_pred.weight.shape[0] == 12008
    assert model.mask.predictor.mask_weights().shape[0] == 3002


def test_transfer_gives_the_same_masks_cut_or_whole():
    model = maskx_rcnn_lab(CATEGORIES)
    whole = model.mask.predictor.mask_weights()
    rows = keep_first_categories(model, KEPT)
    close(model.mask.predictor.mask_weights(), whole[: KEPT + 1], OTHER_SHAPE)
    restore_categories(model, rows)
    assert torch.equal(model.mask.predictor.mask_weights(), whole)


def test_masks_learnt_while_cut_reach_every_category_afterwards(make_sample):
    model = maskx_rcnn_lab(CATEGORIES).freeze_detector()
    before = model.mask.predictor.mask_weights().detach()
    rows = keep_first_categories(model, KEPT)
    assert not any(p.requires_grad for p in model.roi.parameters())
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    torch.manual_seed(0)
    model.train().losses([make_sample(0), make_sample(1)])["loss_mask"].backward()
    optimiser.step()
    restore_categories(model, rows)
    after = model.mask.predictor.mask_weights().detach()
    assert after.shape == before.shape
    assert ((after - before).abs().sum(1) > 0)[KEPT + 1 :].all()
    model.eval()
    assert len(model.predict([make_sample(2).image])) == 1


def test_a_cut_model_trains_its_detector_and_predicts_kept_categories_only(make_sample):
    model = mask_rcnn_lab(CATEGORIES)
    keep_first_categories(model, KEPT)
    torch.manual_seed(0)
    losses = model.train().losses([make_sample(0)])
    sum(losses.values()).backward()
    assert model.roi.box_predictor.cls_score.weight.grad.abs().sum() > 0
    found = model.eval().predict([make_sample(0).image])[0]
    assert (found.categories < KEPT).all()


def test_rows_are_copies():
    model = mask_rcnn_lab(CATEGORIES)
    rows = keep_first_categories(model, KEPT)
    kept = rows.cls_weight.clone()
    with torch.no_grad():
        model.roi.box_predictor.cls_score.weight.zero_()
    assert torch.equal(rows.cls_weight, kept)


def test_heads_side_by_side_are_all_cut():
    first, second = maskx_rcnn_lab(CATEGORIES), mask_rcnn_lab(CATEGORIES)
    learns = torch.ones(CATEGORIES, dtype=torch.bool)
    heads = MaskHeads(
        first, {"own": first.mask, "plain": second.mask}, {"own": learns, "plain": learns}
    )
    rows = keep_first_categories(heads, KEPT)
    assert heads.heads["own"].predictor.mask_weights().shape[0] == KEPT + 1
    restore_categories(heads, rows)
    assert heads.heads["own"].predictor.mask_weights().shape[0] == CATEGORIES + 1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 6), st.data())
def test_first_rows_are_the_rows_of_those_categories(count: int, data) -> None:
    keep = data.draw(st.integers(0, count))
    cls = torch.arange((count + 1) * 3.0).view(-1, 3)
    box = torch.arange((count + 1) * 12.0).view(-1, 3)
    rows = BoxRows(cls, cls[:, 0], box, box[:, 0])
    part = rows.first(keep)
    assert part.category_count == keep
    assert torch.equal(part.box_weight.view(keep + 1, 4, 3), box.view(-1, 4, 3)[: keep + 1])
    assert torch.equal(part.cls_weight, cls[: keep + 1])
    assert torch.equal(part.box_bias, part.box_weight[:, 0])


@pytest.mark.parametrize("count", [0, CATEGORIES + 1, -1])
def test_a_count_that_the_detector_lacks_is_refused(count):
    with pytest.raises(ValueError, match=f"first {count} categories of a detector that has 9"):
        keep_first_categories(mask_rcnn_lab(CATEGORIES), count)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: mask_rcnn_lab(CATEGORIES, "class-specific"), "weights of its own"),
        (lambda: maskx_rcnn_lab(CATEGORIES, "random"), "fixed embedding"),
    ],
)
def test_what_cannot_be_cut_is_refused_and_left_whole(model, message):
    model = model()
    with pytest.raises(ValueError, match=message):
        keep_first_categories(model, KEPT)
    assert box_rows(model).category_count == CATEGORIES


def test_only_the_rows_of_the_same_detector_are_restored():
    model = mask_rcnn_lab(CATEGORIES)
    rows = keep_first_categories(model, KEPT)
    with pytest.raises(ValueError, match="are of 3 categories, fewer than the detector's 5"):
        restore_categories(model, rows.first(3))
    with pytest.raises(ValueError, match="cls_weight of the kept .* another detector's"):
        restore_categories(model, box_rows(mask_rcnn_lab(CATEGORIES, seed=1)))
    thin = BoxRows(rows.cls_weight[:, :7], rows.cls_bias, rows.box_weight[:, :7], rows.box_bias)
    with pytest.raises(ValueError, match="have 7 features, the detector 256"):
        restore_categories(model, thin)
    with torch.no_grad():
        model.roi.box_predictor.bbox_pred.bias += 1
    with pytest.raises(ValueError, match="box_bias of the kept .* was trained since"):
        restore_categories(model, rows)
