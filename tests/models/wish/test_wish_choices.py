"""WISH: each decision of the matcher is used as it was made."""

import pytest
import torch
from scipy.optimize import linear_sum_assignment

from tests.models.wish.drawn_wish_for_tests import KINDS, assert_same, lab, spied
from tests.numeric import OTHER_ORDER, close
from wsislib.data.sample import LabelKind
from wsislib.losses.prompts import PromptDistance
from wsislib.matching import class_term, mask_terms
from wsislib.models.mask2former.builders import LOSS_WEIGHTS
from wsislib.models.wish.builders import (
    WishParts,
    wish_loss_weights,
)


def cheapest(candidate, cost):
    """Each instance's candidate (L, N) costs what the cheapest of `cost` (L, N, K) costs."""
    paid = cost.gather(-1, candidate[..., None])[..., 0]
    close(paid, cost.amin(-1), "two candidates that cost the same may change places")
    dear = cost.masked_fill(cost.isinf(), -torch.inf).amax(-1)
    assert (dear > paid + 0.01).any(), "the comparison needs candidates that differ"


@torch.no_grad()
def test_the_nearest_candidate_is_chosen_once_and_used(make, same_points, monkeypatch):
    model = lab().eval()
    seen = spied(model, [make(kind, int(kind)) for kind in KINDS], monkeypatch)
    assert seen["used"] is seen["matches"]
    said, targets, matches = seen["said"], seen["targets"], seen["matches"]
    area = said.padding.extents(said.features.device)[1]
    points = torch.rand(len(targets.counts), model.segmenter.sampling.count, 2) * area[:, None]
    bce, dice = mask_terms(said.embeddings, said.features, targets, points, area)
    cost = (5 * bce + 5 * dice).masked_fill(~targets.allowed, torch.inf)
    own = matches.query.clamp(min=0)[:, None, :, None].expand(-1, -1, -1, cost.shape[-1])
    cheapest(matches.candidate, cost.gather(1, own)[:, 0])
    chosen = targets.allowed.expand(len(own), -1, -1).gather(-1, matches.candidate[..., None])
    assert chosen.all(), "a candidate that the gate leaves out is never chosen"


@torch.no_grad()
@pytest.mark.parametrize("kind", ["kl", "reverse-kl", "l2", "cosine"])
def test_the_prompt_loss_is_the_distance_that_was_matched(make, same_points, monkeypatch, kind):
    model = lab(WishParts(distance=PromptDistance(kind))).eval()
    seen = spied(model, [make(LabelKind.BOX, 0), make(LabelKind.POINT, 1)], monkeypatch)
    cost, query = seen["terms"]["prompt"], seen["matches"].query
    paid = cost.gather(1, query.clamp(min=0)[:, None])[:, 0] * (query >= 0)
    found = seen["losses"]["loss_prompt"]
    why = "the loss takes its pairs alone, the cost comes from the table of all pairs"
    close(found, paid.sum() / query.shape[1], why, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_weights_of_costs_are_in_no_loss(make, same_points):
    """Losses come unweighted: twice the costs, the same matches, the same losses."""
    model, batch = lab().eval(), [make(kind, int(kind)) for kind in KINDS]
    wanted = model.losses(batch)
    model.segmenter.cost_weights = {k: 2 * v for k, v in model.segmenter.cost_weights.items()}
    assert_same(model.losses(batch), wanted)
    assert wish_loss_weights() == {**LOSS_WEIGHTS, "loss_prompt": 5, "loss_cam": 1, "loss_self": 1}
    assert model.segmenter.cost_weights == {"class": 4, "mask": 10, "dice": 10, "prompt": 10}


@torch.no_grad()
def test_mask_labels_are_mask2formers(make, same_points):
    """With masks, and no word on prompts in the matcher, WISH is the model it stands on."""
    model, batch = lab().eval(), [make(LabelKind.MASK, 0), make(LabelKind.MASK, 1, 2)]
    model.segmenter.cost_weights["prompt"] = 0.0
    found = model.losses(batch)
    del model.segmenter.cost_weights["prompt"]
    for name, value in model.segmenter.losses(batch).items():
        close(found[name], value, f"{name}: a cost with one more term, of weight 0", atol=1e-5)


@torch.no_grad()
def test_without_mask_costs_the_nearest_candidate_is_still_learnt(make, same_points, monkeypatch):
    batch = [make(LabelKind.BOX, 0), make(LabelKind.POINT, 1)]
    seen = spied(lab(WishParts(mask_cost=False, prompt_weight=0.0)).eval(), batch, monkeypatch)
    said, targets, matches = seen["said"], seen["targets"], seen["matches"]
    area = said.padding.extents(said.features.device)[1]
    points = torch.rand(len(targets.counts), lab().segmenter.sampling.count, 2) * area[:, None]
    bce, dice = mask_terms(said.embeddings, said.features, targets, points, area)
    own = matches.query[:, None, :, None].expand(-1, -1, -1, bce.shape[-1])
    cost = (bce + dice).masked_fill(~targets.allowed, torch.inf).gather(1, own)[:, 0]
    cheapest(matches.candidate, cost)
    assert len(matches.candidate.unique()) > 1, "not always the first"
    classes = class_term(said.classes, targets)
    layer, image = -1, 0
    held = targets.image == image
    paid = classes[layer][:, held].gather(0, matches.query[layer][held][None])
    best = linear_sum_assignment(classes[layer][:, held].numpy())
    close(paid.sum(), classes[layer][:, held].numpy()[best].sum(), OTHER_ORDER, atol=1e-5)
