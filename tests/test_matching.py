"""Assignment of queries to instances: by hand, under permutations, and with costs gone wrong."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mask_reference import mask_bce, mask_dice
from tests.numeric import OTHER_CODE, OTHER_SHAPE, close
from wsislib.losses.points import read_points
from wsislib.losses.targets import Targets
from wsislib.matching import class_term, mask_terms, nearest_candidate
from wsislib.matching import hungarian_match as match

ONE = {"cost": 1.0}


def targets_of(counts, candidates=1, side=8, seed=0, allowed=None):
    g = torch.Generator().manual_seed(seed)
    masks = tuple(torch.rand(n, candidates, side, side, generator=g) < 0.4 for n in counts)
    categories = torch.randint(0, 3, (sum(counts),), generator=g)
    ids = tuple(range(11, 11 + len(counts)))
    return Targets(ids, tuple(counts), categories, masks, allowed)


def random_costs(layers, queries, instances, seed):
    return torch.randn(layers, queries, instances, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=3), st.integers(0, 10**6))
def test_assignment_is_the_cheapest_of_all(counts, seed):
    targets = targets_of(counts)
    costs = random_costs(2, 5, sum(counts), seed)
    found = match({"cost": costs}, ONE, targets)
    start = 0
    for count in counts:
        own = costs[:, :, start : start + count]
        for layer in range(2):
            paid = own[layer, found.query[layer, start : start + count], torch.arange(count)].sum()
            best = min(
                sum(own[layer, q, n].item() for n, q in enumerate(queries))
                for queries in itertools.permutations(range(5), count)
            )
            close(paid, best, "float32, here float64", atol=1e-5)
        start += count
    assert (found.candidate == 0).all() and found.left_over == 0


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_order_of_instances_and_of_queries_does_not_matter(seed):
    g = torch.Generator().manual_seed(seed)
    costs, targets = random_costs(3, 7, 6, seed), targets_of((4, 2))
    plain = match({"cost": costs}, ONE, targets).query
    order = torch.cat([torch.randperm(4, generator=g), 4 + torch.randperm(2, generator=g)])
    assert torch.equal(match({"cost": costs[:, :, order]}, ONE, targets).query, plain[:, order])
    order = torch.randperm(7, generator=g)
    moved = match({"cost": costs[:, order]}, ONE, targets).query
    assert torch.equal(order[moved], plain)


def test_terms_are_weighted_and_summed():
    terms = {"a": random_costs(2, 5, 3, 0), "b": random_costs(2, 5, 3, 1)}
    targets = targets_of((3,))
    found = match(terms, {"a": 2.0, "b": 0.5}, targets)
    alone = match({"cost": 2 * terms["a"] + 0.5 * terms["b"]}, ONE, targets)
    assert torch.equal(found.query, alone.query)
    with pytest.raises(ValueError, match="the terms a, b but weights for a, prompt"):
        match(terms, {"a": 2.0, "prompt": 5.0}, targets)


def test_more_instances_than_queries_leaves_the_dearest_over():
    costs = torch.tensor([[[3.0, 1.0, 2.0, 9.0], [1.0, 3.0, 2.0, 9.0]]])
    found = match({"cost": costs}, ONE, targets_of((4,)))
    assert found.query.tolist() == [[1, 0, -1, -1]]
    assert found.left_over == 2


def test_a_cost_that_is_not_finite_is_the_dearest_and_is_counted():
    costs = torch.tensor([[[float("nan"), 5.0], [1.0, float("-inf")], [2.0, 4.0]]])
    found = match({"cost": costs}, ONE, targets_of((2,)))
    assert found.query.tolist() == [[1, 2]]
    assert found.replaced == 2


def test_an_image_without_a_finite_cost_is_named():
    costs = torch.zeros(1, 3, 3)
    costs[:, :, 1:] = float("nan")
    with pytest.raises(ValueError, match="image 12: every matching cost is not finite"):
        match({"cost": costs}, ONE, targets_of((1, 2)))


@pytest.mark.parametrize("counts", [(0,), (0, 0), (0, 2, 0)])
def test_images_without_instances(counts):
    targets = targets_of(counts)
    found = match({"cost": torch.zeros(2, 4, sum(counts))}, ONE, targets)
    assert found.query.shape == (2, sum(counts))
    points = torch.rand(len(counts), 20, 2)
    embeddings, features = torch.randn(2, len(counts), 4, 6), torch.randn(len(counts), 6, 5, 5)
    extent = torch.ones(len(counts), 2)
    for term in mask_terms(embeddings, features, targets, points, extent):
        assert term.shape == (2, 4, sum(counts), 1)
    assert class_term(torch.randn(2, len(counts), 4, 4), targets).shape == (2, 4, sum(counts))


def test_class_term_is_minus_the_probability():
    logits, targets = torch.randn(2, 2, 5, 4), targets_of((2, 1))
    found = class_term(logits, targets)
    for layer, query, (n, image) in itertools.product(range(2), range(5), enumerate((0, 0, 1))):
        chance = logits[layer, image, query].softmax(0)[targets.categories[n]]
        close(found[layer, query, n], -chance, OTHER_SHAPE)


@pytest.mark.parametrize("points", [30, 300])  # more and fewer than the map's cells ask for
def test_mask_terms_equal_a_loop_over_pairs(points):
    g = torch.Generator().manual_seed(3)
    targets = targets_of((2, 0, 3), candidates=3)
    embeddings = torch.randn(2, 3, 4, 6, generator=g) * 3
    features = torch.randn(3, 6, 5, 7, generator=g) * 3
    extent = torch.tensor([[1.0, 1.0], [0.5, 1.0], [0.6, 0.8]])
    places = torch.rand(3, points, 2, generator=g) * extent[:, None]
    bce, dice = mask_terms(embeddings, features, targets, places, extent)
    image = targets.image.tolist()
    for layer, query, n, k in itertools.product(range(2), range(4), range(5), range(3)):
        b = image[n]
        logits = torch.einsum("d,dhw->hw", embeddings[layer, b, query], features[b])
        x = read_points(logits[None, None], places[b][None])[0, 0]
        mask = targets.masks[b][targets.slot[n], k].float()
        t = read_points(mask[None, None], (places[b] / extent[b])[None])[0, 0]
        close(bce[layer, query, n, k], mask_bce(x, t), OTHER_CODE, rtol=1e-4, atol=1e-4)
        close(dice[layer, query, n, k], mask_dice(x, t), OTHER_CODE, rtol=1e-4, atol=1e-5)


def test_huge_logits_keep_their_cost():
    targets = Targets((1,), (1,), torch.tensor([0]), (torch.ones(1, 1, 4, 4, dtype=torch.bool),))
    embeddings = torch.tensor([[[[1e4], [-1e4], [50.0]]]])
    features, points = torch.ones(1, 1, 4, 4), torch.full((1, 8, 2), 0.5)
    bce, dice = mask_terms(embeddings, features, targets, points, torch.ones(1, 2))
    why = "a sigmoid far out is 0 or 1 but for rounding"
    close(bce[0, :, 0, 0], torch.tensor([0, 1e4, 0]), why)
    close(dice[0, :, 0, 0], torch.tensor([0, 8 / 9, 0]), why)


def test_the_nearest_allowed_candidate_is_chosen_and_kept():
    cost = torch.tensor([[[[3.0, 1.0, 2.0]], [[1.0, 2.0, 0.0]]]])  # (1, 2, 1, 3)
    assert nearest_candidate(cost, None).tolist() == [[[1], [2]]]
    allowed = torch.tensor([[True, False, True]])
    chosen = nearest_candidate(cost, allowed)
    assert chosen.tolist() == [[[2], [2]]]
    paid = cost.gather(-1, chosen.unsqueeze(-1)).squeeze(-1)
    found = match({"cost": paid}, ONE, targets_of((1,), 3), chosen)
    assert found.query.tolist() == [[1]] and found.candidate.tolist() == [[2]]
