"""Mask R-CNN: equal to torchvision's, and blind to masks that it must not see."""

from dataclasses import replace
from urllib.error import URLError

import pytest
import torch
from torchvision.models.detection import MaskRCNN as TorchvisionMaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor

from tests.numeric import OTHER_CODE, close, close_masks
from wsislib.data.sample import Label, LabelKind
from wsislib.models.maskrcnn.builders import mask_rcnn_lab, mask_rcnn_r50_fpn, mask_rcnn_small
from wsislib.models.maskrcnn.mask_branch import MaskPredictor

CATEGORIES = 5
LOSSES = {
    "loss_objectness",
    "loss_rpn_box_reg",
    "loss_classifier",
    "loss_box_reg",
    "loss_mask",
}


def with_labels(sample, **changes):
    return replace(sample, label=replace(sample.label, **changes))


def boxes_only(sample):
    return with_labels(sample, kind=LabelKind.BOX, masks=None)


def some_masks(sample, keep):
    """Masks for the entries of `keep` only, the others' rows emptied."""
    kinds = torch.where(keep, int(LabelKind.MASK), int(LabelKind.BOX)).to(torch.uint8)
    masks = sample.label.masks & keep[:, None, None]
    return with_labels(sample, kind=LabelKind.BOX, kinds=kinds, masks=masks)


def losses(model, batch, seed=0):
    torch.manual_seed(seed)  # torchvision's samplers draw from the global generator
    return model.losses(batch)


def all_levels_backbone(model):
    """The backbone without its finest map for the RPN: torchvision gives the RPN every level."""
    model.rpn_levels = tuple(model.mask.pool.featmap_names)
    return model.backbone


def torchvision_twin(model):
    """torchvision's own Mask R-CNN around the same weights."""
    width = model.mask.up.out_channels
    theirs = TorchvisionMaskRCNN(
        all_levels_backbone(model),
        min_size=96,
        max_size=96,
        rpn_anchor_generator=AnchorGenerator(((8,), (12,), (24,), (48,)), ((0.5, 1.0, 2.0),) * 4),
        rpn_head=model.rpn.head,
        rpn_pre_nms_top_n_train=200,
        rpn_pre_nms_top_n_test=200,
        rpn_post_nms_top_n_train=100,
        rpn_post_nms_top_n_test=100,
        rpn_batch_size_per_image=64,
        box_roi_pool=model.roi.box_roi_pool,
        box_head=model.roi.box_head,
        box_predictor=model.roi.box_predictor,
        box_batch_size_per_image=model.roi.fg_bg_sampler.batch_size_per_image,
        mask_roi_pool=model.mask.pool,
        mask_head=MaskRCNNHeads(width, (width,) * 4, 1),
        mask_predictor=MaskRCNNPredictor(width, width, CATEGORIES + 1),
    )
    model.rpn.anchor_generator = theirs.rpn.anchor_generator
    theirs.transform = model.transform
    heads = theirs.roi_heads
    heads.mask_head.load_state_dict(model.mask.trunk.state_dict())
    heads.mask_predictor.conv5_mask.load_state_dict(model.mask.up.state_dict())
    rows = heads.mask_predictor.mask_fcn_logits
    rows.weight.data = model.mask.predictor.weight.data[:, :, None, None].clone()
    rows.bias.data = model.mask.predictor.bias.data.clone()
    return theirs


@pytest.fixture
def specific():
    model = mask_rcnn_lab(CATEGORIES, "class-specific", seed=1)
    torch.nn.init.normal_(model.roi.box_predictor.cls_score.weight, std=0.3)
    torch.nn.init.normal_(
        model.mask.predictor.bias, std=0.5, generator=torch.Generator().manual_seed(0)
    )
    return model


def test_losses_equal_torchvision(specific, make_sample):
    theirs = torchvision_twin(specific)
    batch = [make_sample(0), make_sample(1, count=1), make_sample(2, count=5)]
    ours = losses(specific, batch)
    targets = [
        {"boxes": s.label.boxes, "labels": s.label.categories + 1, "masks": s.label.masks.byte()}
        for s in batch
    ]
    torch.manual_seed(0)
    wanted = theirs([s.image for s in batch], targets)
    assert set(ours) == set(wanted) == LOSSES
    for name, value in wanted.items():
        close(ours[name], value, f"{name}: {OTHER_CODE}")


def test_detections_equal_torchvision(specific, make_sample):
    theirs = torchvision_twin(specific).eval()
    specific.eval()
    images = [make_sample(3).image, make_sample(4, height=80, width=96).image]
    with torch.no_grad():
        wanted = theirs(images)
    found = specific.predict(images)
    assert sum(len(d) for d in found) > 10, "the comparison needs detections"
    for ours, other in zip(found, wanted, strict=True):
        close(ours.boxes, other["boxes"], OTHER_CODE, atol=1e-4)  # pixels
        close(ours.scores, other["scores"], OTHER_CODE)
        # In the same order: the boxes come from the same modules, only the masks do not.
        assert torch.equal(ours.categories + 1, other["labels"])
        close_masks(ours.masks, other["masks"][:, 0] > 0.5, OTHER_CODE)


def test_answers_come_at_the_size_of_each_image(make_sample):
    model = mask_rcnn_lab(CATEGORIES).eval()
    torch.nn.init.normal_(model.roi.box_predictor.cls_score.weight, std=0.3)
    images = [make_sample(0).image, make_sample(1, height=50, width=140).image]
    for image, found in zip(images, model.predict(images), strict=True):
        height, width = image.shape[1:]
        assert found.masks.shape == (len(found), height, width)
        assert found.masks.dtype == torch.bool
        assert (found.boxes[:, 2] <= width).all() and (found.boxes[:, 3] <= height).all()
        assert (found.scores.diff() <= 0).all()
        assert ((found.categories >= 0) & (found.categories < CATEGORIES)).all()


def test_mask_loss_sees_only_instances_that_carry_a_mask(make_sample):
    model = mask_rcnn_lab(CATEGORIES, seed=2)
    full = [make_sample(5), make_sample(6)]
    keep = torch.tensor([True, False, True])
    partial = [some_masks(s, keep) for s in full]
    poisoned = [
        with_labels(s, masks=s.label.masks | ~keep[:, None, None]) for s in partial
    ]  # rubbish where no mask may be read
    clean, dirty = losses(model, partial), losses(model, poisoned)
    for name in LOSSES:
        assert torch.equal(clean[name], dirty[name]), name
    everything = losses(model, full)
    assert everything["loss_mask"] != clean["loss_mask"]
    for name in LOSSES - {"loss_mask"}:
        assert torch.equal(everything[name], clean[name]), name


def test_no_mask_anywhere_gives_zero_with_a_gradient_path(make_sample):
    model = mask_rcnn_lab(CATEGORIES, "class-specific")
    found = losses(model, [boxes_only(make_sample(0)), boxes_only(make_sample(1))])
    assert found["loss_mask"] == 0
    sum(found.values()).backward()
    assert model.mask.trunk[0][0].weight.grad.abs().sum() == 0
    assert model.roi.box_predictor.cls_score.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("counts", [(0, 0), (0, 2), (1,)])
def test_images_without_instances(make_sample, counts):
    model = mask_rcnn_lab(CATEGORIES)
    found = losses(model, [make_sample(i, count=c) for i, c in enumerate(counts)])
    total = sum(found.values())
    assert torch.isfinite(total)
    total.backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())


def test_labels_without_boxes_are_refused(make_sample):
    sample = make_sample(0)
    tags = Label(LabelKind.TAG, sample.label.categories.unique())
    with pytest.raises(ValueError, match="image 1: Mask R-CNN learns from boxes.*TAG"):
        mask_rcnn_lab(CATEGORIES).losses([replace(sample, label=tags)])


def test_same_seed_same_weights_and_global_generator_untouched():
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    one, two = mask_rcnn_lab(CATEGORIES, seed=3), mask_rcnn_lab(CATEGORIES, seed=3)
    assert torch.equal(before, torch.random.get_rng_state())
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b)


def test_predictor_equals_a_loop():
    predictor = MaskPredictor(4, 3, agnostic=False)
    torch.nn.init.normal_(predictor.bias)
    x, labels = torch.randn(5, 4, 6, 6), torch.tensor([1, 3, 0, 2, 1])
    looped = torch.stack(
        [
            torch.einsum("d,dhw->hw", predictor.weight[c], x[r]) + predictor.bias[c]
            for r, c in enumerate(labels)
        ]
    )
    close(predictor(x, labels), looped, OTHER_CODE, atol=1e-5)
    assert MaskPredictor(4, 3, agnostic=True).weight.shape == (1, 4)


def test_paper_size_follows_the_official_configuration():
    with torch.device("meta"):
        model = mask_rcnn_r50_fpn(80, "class-specific", pretrained=False)
    assert model.roi.box_predictor.cls_score.weight.shape == (81, 1024)
    assert model.roi.box_predictor.bbox_pred.weight.shape == (81 * 4, 1024)
    assert model.mask.predictor.weight.shape == (81, 256)
    assert model.mask_side == 28
    assert model.roi.fg_bg_sampler.batch_size_per_image == 512
    assert model.roi.fg_bg_sampler.positive_fraction == 0.25
    assert (model.roi.score_thresh, model.roi.nms_thresh) == (0.05, 0.5)
    assert model.roi.detections_per_img == 100
    assert model.transform.min_size == (800,) and model.transform.max_size == 1333


def test_photograph_size_trains_on_any_shape(make_sample):
    model = mask_rcnn_small(CATEGORIES, image_side=(64, 96))
    found = losses(model, [make_sample(0, height=70, width=111), make_sample(1, height=200)])
    assert set(found) == LOSSES and all(torch.isfinite(v) for v in found.values())


def test_pretrained_backbone_offline_gives_one_clear_message(monkeypatch, tmp_path):
    def refuse(*args, **kwargs):
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", refuse)
    with pytest.raises(ValueError, match="pretrained weights of resnet50.*--from-scratch"):
        mask_rcnn_r50_fpn(CATEGORIES, pretrained=True)


def test_frozen_detector_stands_still_while_the_mask_branch_learns(make_sample):
    model = mask_rcnn_lab(CATEGORIES, seed=4).freeze_detector().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    learning = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.SGD(learning, 0.1)
    found = losses(model, [make_sample(0), make_sample(1)])
    assert set(found) == {"loss_mask"}
    found["loss_mask"].backward()
    optimiser.step()
    moved = {n for n, value in model.state_dict().items() if not torch.equal(value, before[n])}
    assert moved and all(name.startswith("mask.") for name in moved)
