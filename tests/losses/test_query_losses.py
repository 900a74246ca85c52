"""Points, mask losses and class loss of matched queries."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from tests.mask_reference import mask_bce, mask_dice
from tests.numeric import OTHER_CODE, close
from wsislib.data.sample import Label, LabelKind, Sample
from wsislib.losses.masks import mask_bce_and_dice
from wsislib.losses.points import (
    PointLogits,
    PointSampling,
    random_points,
    read_points,
    uncertain_points,
)
from wsislib.losses.queries import class_loss, class_truth, instance_maps, mask_losses
from wsislib.losses.targets import Targets, mask_targets


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_points_read_cells_and_zero_outside():
    maps = torch.arange(12.0).view(1, 1, 3, 4)
    centres = (torch.cartesian_prod(torch.arange(3.0), torch.arange(4.0)).flip(-1) + 0.5) / (
        torch.tensor([4.0, 3.0])
    )
    why = "places that are scaled and scaled back"
    close(read_points(maps, centres[None])[0, 0], torch.arange(12.0), why, atol=1e-5)
    between = read_points(maps, torch.tensor([[[0.25, 0.5]]]))
    close(between.item(), 4.5, why)
    outside = torch.tensor([[[1.5, 0.5], [0.5, -0.5]]])
    assert read_points(maps, outside).tolist() == [[[0, 0]]]
    assert read_points(maps[:0], outside[:0]).shape == (0, 1, 2)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 90))
def test_reading_and_multiplying_commute(seed, points):
    g = generator(seed)
    embeddings = torch.randn(2, 5, 6, generator=g)
    features = torch.randn(2, 6, 4, 5, generator=g)
    places = torch.rand(2, points, 2, generator=g)
    places = places * 1.4 - 0.2  # outside too
    maps = torch.einsum("bqd,bdhw->bqhw", embeddings, features)
    found = PointLogits(features, places)(embeddings).transpose(1, 2)
    close(found, read_points(maps, places), OTHER_CODE, rtol=1e-4, atol=1e-5)


def test_random_points_stay_in_their_area_and_repeat():
    area = torch.tensor([[1.0, 0.5], [0.25, 1.0]])
    drawn = random_points(2, 500, area, generator(4))
    assert (drawn >= 0).all() and (drawn < area[:, None]).all()
    assert (drawn.amax(1) > 0.95 * area).all()
    assert torch.equal(drawn, random_points(2, 500, area, generator(4)))


def test_most_points_lie_where_the_mask_is_undecided():
    edge = torch.linspace(-10, 10, 32).expand(32, 32)  # undecided along the middle column
    maps = torch.stack([edge, edge + 5])[None]  # (1, 2, 32, 32)
    how = PointSampling(400, oversample=3.0, importance=0.75)
    points = uncertain_points(maps, torch.ones(1, 2), how, generator())
    assert points.shape == (1, 2, 400, 2)
    certainty = read_points(maps[0].unsqueeze(1), points[0])[:, 0].abs()  # (2, 400)
    chosen, others = certainty[:, :300], certainty[:, 300:]
    # A quarter of 1,200 random points is nearer to the edge than the other 300.
    assert chosen.amax() < 3.0 and others.mean() > 4.0
    assert len(points[0].flatten(0, 1).unique(dim=0)) > 500, "layers choose for themselves"


def targets_of(counts, sizes, candidates=1, seed=0):
    g = generator(seed)
    masks = tuple(
        torch.rand(n, candidates, *size, generator=g) < 0.4
        for n, size in zip(counts, sizes, strict=True)
    )
    categories = torch.randint(0, 4, (sum(counts),), generator=g)
    return Targets(tuple(range(1, len(counts) + 1)), tuple(counts), categories, masks)


def test_mask_losses_equal_a_loop():
    g = generator(1)
    targets = targets_of((2, 0, 3), [(8, 10), (8, 8), (6, 10)], candidates=2)
    embeddings = torch.randn(3, 3, 7, 6, generator=g)
    features = torch.randn(3, 6, 4, 5, generator=g)
    query = torch.tensor([[0, 3, 6, 1, 2], [4, 2, 0, -1, 5], [1, 0, 3, 2, 6]])
    candidate = torch.randint(0, 2, (3, 5), generator=g)
    extent = torch.tensor([[1.0, 1.0], [0.8, 1.0], [1.0, 0.75]])
    points = torch.rand(5, 3, 40, 2, generator=g)
    maps = instance_maps(embeddings, features, query, targets)
    bce, dice = mask_losses(maps, targets, query, candidate, points, extent)
    image = targets.image.tolist()
    for layer in range(3):
        wanted = torch.zeros(2)
        for n in range(5):
            if query[layer, n] < 0:
                continue
            b, place = image[n], points[n, layer][None]
            logits = torch.einsum("d,dhw->hw", embeddings[layer, b, query[layer, n]], features[b])
            mask = targets.masks[b][targets.slot[n], candidate[layer, n]].float()
            x = read_points(logits[None, None], place)[0, 0]
            t = read_points(mask[None, None], place / extent[b])[0, 0]
            wanted += torch.stack([mask_bce(x, t), mask_dice(x, t)])
        found = torch.stack([bce[layer], dice[layer]])
        close(found, wanted / 5, OTHER_CODE, rtol=1e-4, atol=1e-5)


def test_no_instance_gives_zero_with_a_gradient_path():
    targets = targets_of((0, 0), [(8, 8), (8, 8)])
    embeddings = torch.randn(2, 2, 3, 6, requires_grad=True)
    features = torch.randn(2, 6, 4, 4, requires_grad=True)
    query = torch.zeros(2, 0, dtype=torch.int64)
    maps = instance_maps(embeddings, features, query, targets)
    how = PointSampling(20)
    points = uncertain_points(maps, torch.ones(2, 2)[targets.image], how, generator())
    losses = mask_losses(maps, targets, query, query, points, torch.ones(2, 2))
    assert all((loss == 0).all() and loss.shape == (2,) for loss in losses)
    torch.stack(losses).sum().backward()
    assert embeddings.grad.abs().sum() == 0 and features.grad.abs().sum() == 0


def test_dice_and_cross_entropy_by_hand():
    logits = torch.tensor([[100.0, 100.0, -100.0, -100.0]])
    truth = torch.tensor([[1.0, 0.0, 1.0, 0.0]])
    why = "a sigmoid far out is 0 or 1 but for rounding"
    close(mask_bce(logits, truth).item(), 50.0, why)
    close(mask_dice(logits, truth).item(), 1 - 3 / 5, why)
    close(mask_dice(logits, (logits > 0).float()).item(), 0.0, why)
    close(mask_dice(torch.full((1, 4), -100.0), torch.zeros(1, 4)).item(), 0.0, why)


def test_both_mask_losses_in_one_pass():
    g = generator(5)
    logits = (torch.randn(3, 2, 50, generator=g) * 8).requires_grad_()
    truth = torch.rand(3, 2, 50, generator=g).round(decimals=1)
    upstream = torch.randn(2, 3, 2, generator=g)
    wanted = torch.stack([mask_bce(logits, truth), mask_dice(logits, truth)])
    found = torch.stack(mask_bce_and_dice(logits, truth))
    close(found, wanted, OTHER_CODE)
    gradients = [torch.autograd.grad(loss, logits, upstream)[0] for loss in (found, wanted)]
    close(gradients[0], gradients[1], OTHER_CODE, rtol=1e-4, atol=1e-7)
    far = torch.tensor([[1e4, -1e4, 200.0, -200.0]], requires_grad=True)
    bce, dice = mask_bce_and_dice(far, torch.tensor([[1.0, 0.0, 0.0, 1.0]]))
    close(bce.item(), 100.0, OTHER_CODE)
    assert torch.isfinite(dice)
    assert torch.isfinite(torch.autograd.grad(bce.sum() + dice.sum(), far)[0]).all()


def test_class_loss_is_weighted_cross_entropy():
    targets = targets_of((2, 1), [(4, 4)] * 2)
    query = torch.tensor([[0, 3, 1], [2, -1, 4]])
    truth = class_truth(query, targets, 5, 4)
    a, b, c = targets.categories.tolist()
    assert truth[0].tolist() == [[a, 4, 4, b, 4], [4, c, 4, 4, 4]]
    assert truth[1].tolist() == [[4, 4, a, 4, 4], [4, 4, 4, 4, c]]
    logits = torch.randn(2, 2, 5, 5)
    weight = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.1])
    wanted = [
        cross_entropy(x.flatten(0, 1), t.flatten(), weight=weight)
        for x, t in zip(logits, truth, strict=True)
    ]
    close(class_loss(logits, truth, 0.1), torch.stack(wanted), OTHER_CODE)


def test_targets_of_samples():
    masks = torch.rand(2, 6, 8) < 0.5
    full = Sample(torch.zeros(3, 6, 8), 5, Label(LabelKind.MASK, torch.tensor([3, 0]), masks=masks))
    empty = Sample(torch.zeros(3, 4, 4), 6, Label(LabelKind.BOX, torch.zeros(0, dtype=torch.int64)))
    targets = mask_targets([empty, full])
    assert (targets.image_ids, targets.counts, len(targets)) == ((6, 5), (0, 2), 2)
    assert targets.image.tolist() == [1, 1] and targets.slot.tolist() == [0, 1]
    assert torch.equal(targets.masks[1][:, 0], masks)


def test_an_instance_without_a_mask_is_refused():
    kinds = torch.tensor([3, 2], dtype=torch.uint8)
    masks = torch.rand(2, 6, 8) < 0.5
    label = Label(LabelKind.BOX, torch.tensor([3, 0]), masks=masks, kinds=kinds)
    with pytest.raises(ValueError, match="image 5: .*entry 1 of its label.*kind BOX"):
        mask_targets([Sample(torch.zeros(3, 6, 8), 5, label)])
    tags = Label(LabelKind.TAG, torch.tensor([3]))
    with pytest.raises(ValueError, match="image 5: .*entry 0"):
        mask_targets([Sample(torch.zeros(3, 6, 8), 5, tags)])


def test_queries_without_an_object_learn_nothing_of_images_that_were_not_searched():
    g = generator(5)
    logits = torch.randn(2, 3, 4, 6, generator=g, requires_grad=True)
    truth = torch.randint(0, 5, (2, 3, 4), generator=g)
    truth[:, :, 1:] = 5  # the first query of each image has an object
    searched = torch.tensor([True, False, True])
    found = class_loss(logits, truth, 0.1, searched)
    logs = -logits.log_softmax(-1).gather(-1, truth.unsqueeze(-1)).squeeze(-1)
    weight = torch.tensor([[1.0, 0.1, 0.1, 0.1], [1, 0, 0, 0], [1.0, 0.1, 0.1, 0.1]])
    close(found, (logs * weight).sum((1, 2)) / weight.sum(), OTHER_CODE)
    lone = torch.full_like(truth, 5)
    nothing = class_loss(logits, lone, 0.1, torch.zeros(3, dtype=torch.bool))
    assert nothing.tolist() == [0, 0]
    nothing.sum().backward()
    assert (logits.grad == 0).all()
