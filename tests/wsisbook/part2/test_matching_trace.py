"""The matching laid open: the same as the model's own, term by term."""

from dataclasses import replace

import pytest
import torch

from tests.numeric import close
from wsisbook.part2.matching_trace import (
    PARTS,
    MatchTrace,
    pair_table,
    scene_with,
    scenes_for,
    trace_match,
)
from wsislib.data.sample import LabelKind, Sample
from wsislib.labels.weaken import weaken
from wsislib.models.wish.wish import WISH

KINDS = [LabelKind.POINT, LabelKind.BOX]


def weakened(sample: Sample, kind: LabelKind) -> Sample:
    label = weaken(sample.label, kind, torch.Generator().manual_seed(0))
    return replace(sample, label=label)


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.name)
def opened(request, student: WISH, scene: Sample) -> MatchTrace:
    return trace_match(student, weakened(scene, request.param), seed=3)


def test_with_all_parts_it_is_what_the_model_decides(opened: MatchTrace) -> None:
    whole = opened.without(None)
    assert torch.equal(whole.query, opened.batch.matches.query)
    assert torch.equal(whole.candidate, opened.batch.matches.candidate)


def test_no_step_is_counted(student: WISH, scene: Sample) -> None:
    before = int(student.train().steps)
    trace_match(student, weakened(scene, LabelKind.BOX))
    assert int(student.steps) == before and not student.training


def test_three_parts_are_the_four_weighted_terms(opened: MatchTrace) -> None:
    parts = opened.parts()
    assert parts.keys() == PARTS.keys()
    total = sum(opened.weighted().values())
    close(sum(parts.values()), total, "the same terms, added in another order", atol=1e-5)
    close(parts["class"], 2 * opened.costs.terms["class"][-1], "weighted before or after")
    for query, instance in opened.pairs:
        chosen = opened.batch.matches.candidate[-1, instance]
        cost = opened.costs.by_candidate[-1, query, instance, chosen]
        close(parts["mask"][query, instance], cost, "two terms, added before or after", atol=1e-5)


def test_a_part_that_costs_nothing_decides_nothing(opened: MatchTrace) -> None:
    for part in PARTS:
        query = opened.without(part).query[-1]
        rest = sum(cost for name, cost in opened.parts().items() if name != part)
        own = rest[query, torch.arange(len(query))].sum()
        matched = opened.batch.matches.query[-1]
        assert own <= rest[matched, torch.arange(len(query))].sum() + 1e-5


def test_the_loss_of_pairs_is_their_cost(student: WISH, opened: MatchTrace) -> None:
    table = pair_table(opened)
    same = table["loss at the same points"].drop("class")
    costs = table["cost of the pairs"].drop("class").to_numpy()
    close(same.to_numpy(), costs, "costs of all pairs are a matrix product, losses are not", 1e-4)
    assert table.loc["class", "cost of the pairs"] < 0 < table.loc["class", "loss"]
    assert table.loc["mask", "loss"] != table.loc["mask", "cost of the pairs"]


def test_masks_come_at_the_size_of_the_image(opened: MatchTrace) -> None:
    masks = opened.masks()
    assert masks.shape == (16, 96, 96) and masks.dtype == torch.bool
    coarse = opened.batch.predictions.masks()[0] > 0  # (Q, 48, 48)
    assert (masks[:, ::2, ::2] == coarse).float().mean() > 0.9


def test_scenes_are_of_the_world_that_the_student_knows(student: WISH) -> None:
    scenes = scenes_for(student, 7, 8)
    assert len(scenes.categories) == 5
    counts = [len(scenes[index].label) for index in range(8)]
    for wanted in set(counts):
        found = scene_with(scenes, wanted)
        assert found.image_id - 1 == counts.index(wanted), "the first of them"
    most = scene_with(scenes, 99)
    assert len(most.label) == max(counts)
