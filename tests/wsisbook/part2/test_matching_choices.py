"""What the figures of the matching are given: why a candidate is out, and what was chosen."""

from dataclasses import replace

import pytest
import torch

from tests.models.drawn_teacher import DrawnTeacher, random_student
from wsisbook.part2.matching_trace import (
    MatchTrace,
    choices_by_gate,
    choices_of,
    gate_reasons,
    instance_names,
    labelled_by,
    parts_and_sum,
    prompts_given,
    query_titles,
    scene_with,
    scenes_for,
    trace_match,
)
from wsislib.data.sample import Candidates, Label, LabelKind, Sample
from wsislib.models.wish.candidate_choice import Gate
from wsislib.models.wish.wish import WISH


@pytest.fixture(scope="module")
def student() -> WISH:
    return random_student()


@pytest.fixture(scope="module")
def opened(student: WISH) -> MatchTrace:
    scene = scene_with(scenes_for(student, 7, 20), 3)
    return trace_match(student, labelled_by(scene, LabelKind.POINT, torch.Generator()))


def test_a_label_of_one_kind_holds_no_mask(student: WISH) -> None:
    scene = scene_with(scenes_for(student, 7, 20), 3)
    weak = labelled_by(scene, LabelKind.BOX, torch.Generator())
    assert weak.label.kind == LabelKind.BOX and weak.label.masks is None
    assert weak.label.boxes is not None and torch.equal(weak.image, scene.image)


def test_each_way_to_be_left_out_has_its_name() -> None:
    masks = torch.zeros(1, 4, 8, 8, dtype=torch.bool)
    masks[0, 0, 2:5, 2:5] = True  # right
    masks[0, 1, 6:, 6:] = True  # elsewhere
    masks[0, 3, 3, 3] = True  # right, but not believed
    quality = torch.tensor([[0.8, 0.7, 0.9, 0.2]])
    label = Label(
        LabelKind.POINT,
        torch.tensor([0]),
        torch.tensor([[3.5, 3.5]]),
        candidates=Candidates(masks, quality),
    )
    sample = Sample(torch.zeros(3, 8, 8), 1, label)
    assert gate_reasons(Gate(), sample) == [["", "off its prompt", "empty", "low score"]]
    assert gate_reasons(None, sample) == [["", "", "", ""]]
    worst = replace(label, candidates=Candidates(masks[:, 1:3], quality[:, 1:3]))
    fallen = gate_reasons(Gate(), replace(sample, label=worst))
    assert fallen == [["", "empty"]], "one of each entry is let through"
    second = torch.tensor([[3.5, 3.5], [7.5, 7.5]])
    two = torch.stack([masks[0, :2], torch.ones(2, 8, 8, dtype=torch.bool)])
    both = Label(
        LabelKind.POINT,
        torch.tensor([0, 0]),
        second,
        candidates=Candidates(two.transpose(0, 1).contiguous(), torch.full((2, 2), 0.8)),
    )
    reasons = gate_reasons(Gate(), replace(sample, label=both))
    assert reasons == [["", "covers another"], ["", "covers another"]]


def test_every_pair_shows_its_own_candidates(student: WISH, opened: MatchTrace) -> None:
    choices = choices_of(opened)
    assert [(c.instance) for c in choices] == [i for _, i in opened.pairs]
    for choice, (query, _) in zip(choices, opened.pairs, strict=True):
        assert choice.reasons == ["", "", "low score"] and choice.chosen in (0, 1)
        assert choice.costs[choice.chosen] == min(choice.costs[:2])
        assert torch.equal(torch.from_numpy(choice.query), opened.masks()[query])
        assert choice.candidates.sum(axis=(1, 2)).tolist() == sorted(
            choice.candidates.sum(axis=(1, 2)).tolist()
        )
        assert list(choice.prompt) == prompts_given(opened.sample)[choice.instance]


def test_titles_and_names(opened: MatchTrace) -> None:
    names = ["a", "b", "c", "d", "e"]
    titles = query_titles(opened, names)
    assert len(titles) == 16
    chances = opened.batch.predictions.classes[-1, 0].softmax(-1)[:, :-1]
    assert titles[3] == f"{names[int(chances[3].argmax())]} {chances[3].max():.2f}"
    shown = instance_names(opened, names)
    assert shown[1] == f"1 {names[int(opened.batch.targets.categories[1])]}"
    parts = parts_and_sum(opened)
    assert list(parts)[:2] == ["class, 2 x", "prompt, 5 x"]
    *three, total = parts.values()
    assert total == pytest.approx(sum(three))


def test_pairs_whose_choice_the_gate_changed(student: WISH) -> None:
    scenes = scenes_for(student, 7, 12)
    images = [scenes[i] for i in range(12)]
    found = choices_by_gate(student, images, LabelKind.BOX, count=2)
    assert len(found) == 2, "a random student often lies nearest to the largest disc"
    for choice in found:
        nearest = choice.costs.index(min(choice.costs))
        assert nearest != choice.chosen and choice.reasons[nearest] == "low score"
    student_without = replace_gate(student, None)
    assert choices_by_gate(student_without, images, LabelKind.BOX, count=2) == []
    assert DrawnTeacher.scores[2] < Gate().min_iou_ratio * max(DrawnTeacher.scores)


def replace_gate(student: WISH, gate: Gate | None) -> WISH:
    other = random_student()
    other.load_state_dict(student.state_dict())
    other.gate = gate
    return other
