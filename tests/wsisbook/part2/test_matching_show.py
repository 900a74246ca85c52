"""The matching laid open: the same as the model's own, term by term."""

from dataclasses import replace

import pytest
import torch

from tests.numeric import close
from wsisbook.part2.matching_show import (
    PARTS,
    MatchTrace,
    pair_table,
    scene_with,
    scenes_for,
    trace_match,
)
from wsislib.data.sample import LabelKind, Sample
from wsislib.labels.weaken import weaken
from wsislib.losses.prompts import prompt_term
from wsislib.models.wish.label_completion import add_pseudo_labels
from wsislib.models.wish.targets import wish_targets
from wsislib.models.wish.wish import WISH

KINDS = [LabelKind.POINT, LabelKind.BOX]


def weakened(sample: Sample, kind: LabelKind) -> Sample:
    label = weaken(sample.label, kind, torch.Generator().manual_seed(0))
    return replace(sample, label=label)


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.name)
def opened(request, student: WISH, scene: Sample) -> MatchTrace:
    return trace_match(student, weakened(scene, request.param), seed=3)


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_what_the_model_decides(student: WISH, scene: Sample, kind: LabelKind) -> None:
    sample = weakened(scene, kind)
    mine = trace_match(student, sample, seed=3)
    segmenter = student.segmenter
    framed = segmenter.framing([sample.image], True)
    said = segmenter.decode(framed)
    prompts = student.predict_prompts(said, framed.originals)
    complete = add_pseudo_labels([sample], None, student.teacher, student.peaks)
    wanted = wish_targets(complete, student.prompt_head, student.teacher, student.gate)
    term = prompt_term(prompts, wanted.prompts, wanted, student.distance)
    generator = torch.Generator().manual_seed(3)
    theirs = segmenter.match(said, wanted, generator, {"prompt": term})
    assert torch.equal(mine.matches.query, theirs.query)
    assert torch.equal(mine.matches.candidate, theirs.candidate)
    whole = mine.without(None)
    assert torch.equal(whole.query, theirs.query)
    assert torch.equal(whole.candidate, theirs.candidate)


def test_no_step_is_counted(student: WISH, scene: Sample) -> None:
    before = int(student.train().steps)
    trace_match(student, weakened(scene, LabelKind.BOX))
    assert int(student.steps) == before and not student.training


def test_three_parts_are_the_four_weighted_terms(opened: MatchTrace) -> None:
    parts = opened.parts()
    assert parts.keys() == PARTS.keys()
    total = sum(opened.weights[name] * cost[-1] for name, cost in opened.costs.items())
    close(sum(parts.values()), total, "the same terms, added in another order", atol=1e-5)
    close(parts["class"], 2 * opened.costs["class"][-1], "weighted before or after")
    for query, instance in opened.pairs:
        chosen = opened.matches.candidate[-1, instance]
        cost = opened.by_candidate[-1, query, instance, chosen]
        close(parts["mask"][query, instance], cost, "two terms, added before or after", atol=1e-5)


def test_a_part_that_costs_nothing_decides_nothing(opened: MatchTrace) -> None:
    for part in PARTS:
        query = opened.without(part).query[-1]
        rest = sum(cost for name, cost in opened.parts().items() if name != part)
        own = rest[query, torch.arange(len(query))].sum()
        matched = opened.matches.query[-1]
        assert own <= rest[matched, torch.arange(len(query))].sum() + 1e-5


def test_the_loss_of_pairs_is_their_cost(student: WISH, opened: MatchTrace) -> None:
    table = pair_table(student, opened)
    same = table["loss at the same points"].drop("class")
    costs = table["cost of the pairs"].drop("class").to_numpy()
    close(same.to_numpy(), costs, "costs of all pairs are a matrix product, losses are not", 1e-4)
    assert table.loc["class", "cost of the pairs"] < 0 < table.loc["class", "loss"]
    assert table.loc["mask", "loss"] != table.loc["mask", "cost of the pairs"]


def test_masks_come_at_the_size_of_the_image(opened: MatchTrace) -> None:
    masks = opened.masks()
    assert masks.shape == (16, 96, 96) and masks.dtype == torch.bool
    coarse = opened.said.masks()[0] > 0  # (Q, 48, 48)
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
