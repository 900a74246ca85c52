"""Mask^X R-CNN as a whole: what learns from what, empty batches, the two parts apart."""

from dataclasses import replace

import pytest
import torch

from tests.numeric import OTHER_SHAPE, close, close_masks
from wsislib.data.sample import LabelKind
from wsislib.models.maskrcnn.builders import add_weight_transfer, mask_rcnn_lab, maskx_rcnn_lab

CATEGORIES = 5
ROWS = "rows of one product, of which the last ones may take another kernel than the first"
DETECTION_LOSSES = {"loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg"}


def losses(model, batch, seed=0):
    torch.manual_seed(seed)  # torchvision's samplers draw from the global generator
    return model.losses(batch)


def with_masks_of(sample, keep):
    """Masks for the entries of `keep` only, boxes for all."""
    kinds = torch.where(keep, int(LabelKind.MASK), int(LabelKind.BOX)).to(torch.uint8)
    masks = sample.label.masks & keep[:, None, None]
    return replace(
        sample, label=replace(sample.label, kind=LabelKind.BOX, kinds=kinds, masks=masks)
    )


def gradients(model, loss):
    """Parameter name -> gradient of `loss`, None where there is no path."""
    names, parameters = zip(*model.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, parameters, allow_unused=True), strict=True))


W_DET = ("roi.box_predictor.cls_score.weight", "roi.box_predictor.bbox_pred.weight")


def test_with_the_stop_the_mask_loss_leaves_every_detection_weight_alone(make_sample):
    model = maskx_rcnn_lab(CATEGORIES, stop_gradient=True)
    found = gradients(model, losses(model, [make_sample(0), make_sample(1)])["loss_mask"])
    assert all(found[name] is None for name in found if name.startswith("roi."))
    for part in ("mask.predictor.transfer.layers.0.weight", "mask.trunk.0.0.weight"):
        assert found[part].abs().sum() > 0
    assert found["backbone.body.stem.0.weight"].abs().sum() > 0, "features are shared, as before"


def test_without_the_stop_it_moves_the_weights_of_the_categories_that_have_masks(make_sample):
    model = maskx_rcnn_lab(CATEGORIES, stop_gradient=False)
    batch = [make_sample(0), make_sample(1)]
    found = gradients(model, losses(model, batch)["loss_mask"])
    seen = torch.zeros(CATEGORIES + 1, dtype=torch.bool)
    for sample in batch:
        seen[sample.label.categories + 1] = True
    for name in W_DET:
        moved = found[name].view(CATEGORIES + 1, -1).abs().sum(1) > 0
        assert moved.any() and not moved[~seen].any(), name
    assert all(
        found[name] is None for name in found if name.startswith("roi.") and name not in W_DET
    )


@pytest.mark.parametrize(("inputs", "without"), [("cls", 1), ("box", 0)])
def test_only_the_input_of_transfer_is_moved(make_sample, inputs, without):
    model = maskx_rcnn_lab(CATEGORIES, inputs, stop_gradient=False, mlp_layers=0)
    found = gradients(model, losses(model, [make_sample(0)])["loss_mask"])
    assert found[W_DET[without]] is None and found[W_DET[1 - without]].abs().sum() > 0


@pytest.mark.parametrize("stop_gradient", [True, False])
def test_the_losses_ignore_masks_of_b_exactly(make_sample, stop_gradient):
    model = maskx_rcnn_lab(CATEGORIES, stop_gradient=stop_gradient, seed=2)
    full = [make_sample(5), make_sample(6)]
    keep = torch.tensor([True, False, True])
    partial = [with_masks_of(s, keep) for s in full]
    poisoned = [
        replace(s, label=replace(s.label, masks=s.label.masks | ~keep[:, None, None]))
        for s in partial
    ]  # rubbish where no mask may be read
    clean, dirty = losses(model, partial), losses(model, poisoned)
    assert set(clean) == DETECTION_LOSSES | {"loss_mask"}
    for name in clean:
        assert torch.equal(clean[name], dirty[name]), name
    one, two = (gradients(model, found["loss_mask"]) for found in (clean, dirty))
    for name, gradient in one.items():
        same = gradient is None and two[name] is None
        assert same or torch.equal(gradient, two[name]), name
    assert losses(model, full)["loss_mask"] != clean["loss_mask"]


@pytest.mark.parametrize("stop_gradient", [True, False])
def test_batches_without_instance_of_a_and_without_any(make_sample, stop_gradient):
    model = maskx_rcnn_lab(CATEGORIES, stop_gradient=stop_gradient)
    nobody = torch.zeros(3, dtype=torch.bool)
    for batch in (
        [with_masks_of(make_sample(0), nobody), with_masks_of(make_sample(1), nobody)],
        [make_sample(0, count=0), make_sample(1, count=0)],
    ):
        model.zero_grad(set_to_none=True)
        found = losses(model, batch)
        assert found["loss_mask"] == 0
        sum(found.values()).backward()
        for name, parameter in model.named_parameters():
            if name.startswith("mask."):
                assert not parameter.grad.any(), "a gradient path, and nothing on it"
            assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name


def test_one_region_is_enough(make_sample):
    model = maskx_rcnn_lab(CATEGORIES)
    sample = with_masks_of(make_sample(3, count=2), torch.tensor([True, False]))
    regions, _ = model.sample_regions([sample])
    box = sample.label.boxes[:1]
    logits = model.mask(regions.features, [box], regions.sizes, sample.label.categories[:1] + 1)
    assert logits.shape == (1, 28, 28) and torch.isfinite(logits).all()
    logits.sum().backward()
    assert model.mask.predictor.transfer.layers[0].weight.grad.abs().sum() > 0


def test_over_a_frozen_detector_transfer_learns_and_w_det_stands_still(make_sample):
    model = maskx_rcnn_lab(CATEGORIES, stop_gradient=False, seed=4).freeze_detector().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    learning = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(learning, 3e-3)
    batch, course = [make_sample(0), make_sample(1)], []
    for _ in range(12):
        found = losses(model, batch)
        assert set(found) == {"loss_mask"}
        optimiser.zero_grad()
        found["loss_mask"].backward()
        optimiser.step()
        course.append(found["loss_mask"].item())
    assert course[-1] < 0.9 * course[0], course
    moved = {n for n, value in model.state_dict().items() if not torch.equal(value, before[n])}
    assert all(name.startswith("mask.") for name in moved)
    assert {f"mask.predictor.transfer.layers.{i}.weight" for i in (0, 1)} <= moved
    assert "mask.mlp.layers.0.weight" in moved


def test_everything_but_the_predictor_starts_as_in_the_class_agnostic_baseline():
    ours = maskx_rcnn_lab(CATEGORIES, seed=3).state_dict()
    plain = mask_rcnn_lab(CATEGORIES, seed=3).state_dict()
    shared = [name for name in plain if not name.startswith("mask.predictor.")]
    assert all(torch.equal(ours[name], plain[name]) for name in shared)
    other = maskx_rcnn_lab(CATEGORIES, seed=4).state_dict()
    added = [name for name in ours if name.startswith(("mask.predictor.", "mask.mlp."))]
    assert len(added) == 6
    assert all(not torch.equal(ours[n], other[n]) for n in added if n.endswith("weight"))


def test_builders_leave_the_global_generator_alone():
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    maskx_rcnn_lab(CATEGORIES, "random")
    assert torch.equal(before, torch.random.get_rng_state())


def confident(model):
    """`model` in evaluation mode, with scores high enough for detections."""
    model.roi.detections_per_img = 20
    generator = torch.Generator().manual_seed(0)
    torch.nn.init.normal_(model.roi.box_predictor.cls_score.weight, std=0.3, generator=generator)
    return model.eval()


def test_masks_of_the_mlp_do_not_depend_on_the_category(make_sample):
    model = maskx_rcnn_lab(CATEGORIES)
    pooled = torch.randn(1, 64, 14, 14).expand(CATEGORIES, -1, -1, -1)
    fcn, mlp = model.mask.logit_parts(pooled, torch.arange(1, CATEGORIES + 1))
    close(mlp, mlp[:1].expand_as(mlp), ROWS)
    assert fcn.std(0).max() > 1e-3


def test_thousands_of_categories_are_detected_image_by_image_with_the_same_answer(
    make_sample, monkeypatch
):
    model = confident(maskx_rcnn_lab(CATEGORIES))
    images = [make_sample(i).image for i in range(3)] + [make_sample(3, height=60).image]
    together = model.predict(images)
    monkeypatch.setattr("wsislib.models.maskrcnn.detector.MANY_CATEGORIES", 3)
    for one, other in zip(model.predict(images), together, strict=True):
        close(one.boxes, other.boxes, OTHER_SHAPE, atol=1e-4)  # pixels
        close(one.scores, other.scores, OTHER_SHAPE)
        assert torch.equal(one.categories, other.categories)  # scores are 2e-5 apart at least
        close_masks(one.masks, other.masks, OTHER_SHAPE)


def test_transfer_can_be_given_to_any_mask_rcnn(make_sample):
    model = add_weight_transfer(
        mask_rcnn_lab(CATEGORIES, "class-specific", seed=1), "box", layers=3
    )
    found = losses(model, [make_sample(0)])
    assert torch.isfinite(found["loss_mask"])
    assert len(model.mask.predictor.transfer.layers) == 3
