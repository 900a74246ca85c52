"""WISH: every kind of label teaches, and order and padding change nothing."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.models.wish.drawn_wish_for_tests import (
    KINDS,
    MIXED,
    NAMES,
    assert_same,
    lab,
    weighted,
)
from wsislib.data.sample import LabelKind


@pytest.mark.parametrize("kinds", MIXED, ids=lambda kinds: "+".join(k.name for k in kinds))
def test_every_parameter_learns_from_every_kind(make, kinds):
    model = lab().train()
    nn.init.constant_(model.cam_head.classify.weight, 0.05)  # so that every map has a peak
    batch = [make(kind, seed=seed) for seed, kind in enumerate(kinds)]
    with torch.autocast("cpu", torch.bfloat16):
        losses = model.losses(batch)
    assert losses.keys() == NAMES
    assert all(
        loss.dtype == torch.float32 and loss > 0 for n, loss in losses.items() if n[5] != "s"
    )
    weighted(losses).backward()
    for name, p in model.named_parameters():
        assert torch.isfinite(p.grad).all() and p.grad.abs().sum() > 0, name
    for p in model.teacher.sam.parameters():
        assert p.grad is None and not p.requires_grad


def test_tags_in_warm_up_teach_the_cam_branch_alone(make):
    model = lab(cam_warmup=1, self_start=None).train()
    losses = model.losses([make(LabelKind.TAG)])
    assert losses["loss_cam"] > 0
    assert all(losses[name] == 0 for name in NAMES - {"loss_cam"})
    weighted(losses).backward()
    assert model.cam_head.classify.weight.grad.abs().sum() > 0
    assert model.segmenter.backbone.stem[0].weight.grad.abs().sum() > 0
    for part in (model.segmenter.query_decoder, model.prompt_head):
        assert all((p.grad == 0).all() for p in part.parameters())
    assert model.statistics()["tag.images_without_point"] == 1
    assert model.losses([make(LabelKind.TAG)])["loss_class"] > 0, "the second step has points"


@pytest.mark.parametrize("counts", [(0, 0), (0, 2), (20, 1)])
@pytest.mark.parametrize("kind", KINDS)
def test_any_number_of_instances(make, kind, counts):
    model = lab()
    losses = model.losses([make(kind, seed, count) for seed, count in enumerate(counts)])
    assert all(torch.isfinite(loss) for loss in losses.values())
    weighted(losses).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def turned(sample, order):
    label = sample.label
    fields = {
        name: value[order]
        for name in ("categories", "points", "boxes", "masks")
        if (value := getattr(label, name)) is not None
    }
    return replace(sample, label=replace(label, **fields))


@torch.no_grad()
def test_order_of_instances_does_not_matter(make, same_points):
    model = lab().eval()
    batch = [make(kind, int(kind)) for kind in KINDS]
    order = torch.tensor([2, 0, 1])
    other = [turned(s, order[: len(s.label)].argsort().argsort()) for s in batch]
    assert_same(model.losses(other), model.losses(batch))


@torch.no_grad()
def test_order_of_queries_does_not_matter(make, same_points):
    model, batch = lab().eval(), [make(kind, int(kind)) for kind in KINDS]
    wanted = model.losses(batch)
    decoder = model.segmenter.query_decoder
    order = torch.randperm(decoder.queries.num_embeddings)
    for table in (decoder.queries, decoder.places):
        table.weight.copy_(table.weight[order])
    assert_same(model.losses(batch), wanted)


@torch.no_grad()
def test_padding_changes_no_loss(make, same_points):
    model = lab().eval()
    nn.init.normal_(model.cam_head.classify.weight, 0.05, 0.5)  # equal maps would tie
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.bias, std=0.3)  # makes zeros into something
    batch = [make(kind, int(kind), height=44, width=36) for kind in KINDS]
    model.segmenter.query_decoder.classify.bias[batch[0].label.categories[0]] = 3.0
    wanted = model.losses(batch)
    assert wanted["loss_self"] > 0, "a category of an image is claimed by a query"
    model.segmenter.framing.divisor = 80  # the canvas grows from 48 x 48 to 80 x 80
    assert_same(model.losses(batch), wanted)
