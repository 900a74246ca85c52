"""Many heads, one at a time in memory: the numbers of `MaskHeads`."""

import torch

from tests.numeric import OTHER_SHAPE, close_masks
from wsisbook.experiments.sequential_heads import SequentialHeads
from wsislib.models.maskrcnn.builders import mask_rcnn_lab, transfer_predictor
from wsislib.models.maskrcnn.mask_heads import MaskHeads

CATEGORIES = 5
A = torch.tensor([True, True, False, False, False])
LEARNS = {"one-agnostic": A, "one-transfer": A, "other-transfer": ~A}


def heads():
    """An untrained detector that finds something, with three heads."""
    model = mask_rcnn_lab(CATEGORIES, seed=1)
    model.roi.detections_per_img = 12
    generator = torch.Generator().manual_seed(0)
    torch.nn.init.normal_(model.roi.box_predictor.cls_score.weight, std=0.3, generator=generator)
    branches = {}
    for name in LEARNS:
        branches[name] = mask_rcnn_lab(CATEGORIES, seed=7).mask
        if name.endswith("transfer"):
            branches[name].predictor = transfer_predictor(model.roi.box_predictor, 64, seed=7)
    return MaskHeads(model, branches, LEARNS)


def losses_and_gradients(model, batch):
    torch.manual_seed(0)  # torchvision's samplers draw from the global generator
    model.train()
    found = model.losses(batch)
    sum(2**place * loss for place, loss in enumerate(found.values())).backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    return {name: loss.item() for name, loss in found.items()}, gradients


def test_losses_and_gradients_are_those_of_heads_that_go_together(make_sample):
    batch = [make_sample(0), make_sample(1)]
    wanted, theirs = losses_and_gradients(heads(), batch)
    found, own = losses_and_gradients(SequentialHeads.of(heads()), batch)
    # Bit for bit: every head sees the same regions in both, one after the other.
    assert found == wanted and min(found.values()) > 0
    for name, gradient in theirs.items():
        assert (gradient is None) == (own[name] is None), name
        if gradient is not None:
            assert torch.equal(own[name], gradient), name


def test_batches_with_nothing_to_learn_give_zero_with_a_gradient_path(make_sample):
    model = SequentialHeads.of(heads())
    found, gradients = losses_and_gradients(model, [make_sample(i, count=0) for i in range(2)])
    assert set(found.values()) == {0.0}
    assert all(not g.any() for n, g in gradients.items() if n.startswith("heads."))


def test_each_head_is_asked_only_about_what_it_is_judged_on(make_sample):
    model = SequentialHeads.of(heads()).eval()
    images = [make_sample(5).image, make_sample(6, height=70).image]
    judged = {name: ~learns for name, learns in LEARNS.items()}
    judged["one-agnostic"] = ~judged["one-transfer"]
    judged["other-transfer"] = torch.zeros(CATEGORIES, dtype=torch.bool)
    whole, part = model.predict_each(images), model.predict_among(images, judged)
    for name, wanted in judged.items():
        for all_of_them, few in zip(whole[name], part[name], strict=True):
            keep = wanted[all_of_them.categories]
            assert torch.equal(few.categories, all_of_them.categories[keep])
            assert torch.equal(few.scores, all_of_them.scores[keep])
            assert torch.equal(few.boxes, all_of_them.boxes[keep])
            close_masks(few.masks, all_of_them.masks[keep], OTHER_SHAPE)  # of fewer regions
    counts = {name: sum(len(few) for few in found) for name, found in part.items()}
    both = counts["one-transfer"] + counts["one-agnostic"]
    assert both == sum(len(one) for one in whole["one-agnostic"]) > 5
    assert min(counts["one-transfer"], counts["one-agnostic"]) > 0
    assert all(len(few) == 0 for few in part["other-transfer"])
