"""Masks of a WISH drawn by SAM: the same queries and classes, SAM's own masks."""

import pytest
import torch
from torch import nn

from tests.models.wish.drawn_wish_for_tests import CATEGORIES, SIDE, WIDTH, lab
from tests.numeric import close_masks
from wsislib.data.sample import LabelKind
from wsislib.models.sam.prompts import Prompts
from wsislib.models.sam.sam import Teacher
from wsislib.models.sam.tiny_sam import tiny_sam
from wsislib.models.wish.sam_decoder import DecoderTuning, SamDecoderInference, best_by_iou

ALL_AT_ONCE = "all queries are drawn at once, here they are drawn one by one"


@pytest.fixture(scope="module")
def sam() -> Teacher:
    """Random weights, larger than at the start, so that masks are not all empty."""
    made = tiny_sam(0, WIDTH, SIDE, (4, 4, 4, 4))
    g = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.mask_decoder.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=g))
    return Teacher(made, "random", "0")


class Says(nn.Module):
    """A prompt head that says the same tokens (T, D) whatever the query."""

    sees, token_width = "state", WIDTH

    def __init__(self, tokens):
        super().__init__()
        self.tokens = tokens

    def forward(self, states):
        return self.tokens.expand(*states.shape[:3], -1, -1)

    def of_boxes(self, said):
        return said


@pytest.mark.parametrize(
    "prompts",
    [
        Prompts(boxes=torch.tensor([[4.0, 4, 20, 30], [8, 2, 40, 44]])),
        Prompts(points=torch.tensor([[9.5, 9.5], [30.5, 12.5], [1.5, 40.5]])),
    ],
)
def test_tokens_are_decoded_as_the_prompts_they_are_of(sam, prompts):
    image = torch.rand(3, SIDE, 36, generator=torch.Generator().manual_seed(1))
    embedded = sam.embed([image])
    (wanted,) = sam.candidates(embedded, [prompts])
    tokens = sam.prompt_embeddings(prompts, (SIDE, 36))
    (found,) = sam.candidates_for_tokens(embedded, [tokens])
    assert torch.equal(found.logits, wanted.logits) and torch.equal(found.scores, wanted.scores)
    (none,) = sam.candidates_for_tokens(embedded, [tokens[:0]])
    assert len(none) == 0 and none.logits.shape[1:] == wanted.logits.shape[1:]


def test_what_the_prompt_head_says_is_drawn(sam, make):
    model, image = lab().eval(), make(LabelKind.MASK).image
    box = Prompts(boxes=torch.tensor([[6.0, 6, 30, 40]]))
    model.prompt_head = Says(sam.prompt_embeddings(box, (SIDE, SIDE))[0])
    (own,), (drawn,) = (
        model.predict([image]),
        SamDecoderInference(model, sam, "embedding").predict([image]),
    )
    wanted = best_by_iou(sam.candidates([image], [box])[0])[0] > 0
    assert wanted.any() and len(drawn) >= len(own) > 0
    close_masks(drawn.masks, wanted.expand_as(drawn.masks), ALL_AT_ONCE)
    assert drawn.scores.diff().le(0).all()
    other = SamDecoderInference(model, sam, "embedding", tiny_sam(5, WIDTH, SIDE).mask_decoder)
    found = other.predict([image])[0].masks
    assert len(found) and (found ^ wanted).float().mean((1, 2)).min() > 0.01


def test_boxes_around_own_masks_are_drawn(sam, make):
    model, image = lab().eval(), make(LabelKind.MASK).image
    (own,), (drawn,) = (
        model.predict([image]),
        SamDecoderInference(model, sam, "boxes").predict([image]),
    )
    one_by_one = [
        best_by_iou(sam.candidates([image], [Prompts(boxes=box[None])])[0])[0] > 0
        for box in own.boxes
    ]
    assert len(drawn) and len(own)
    for mask in drawn.masks:  # queries of several categories come several times, in another order
        nearest = min(one_by_one, key=lambda other: int((mask ^ other).sum()))
        close_masks(mask, nearest, ALL_AT_ONCE)


def test_tuning_learns_and_leaves_teacher_and_wish_alone(sam, make):
    model = lab()
    before = [p.clone() for p in (*model.parameters(), *sam.sam.parameters())]
    tuning = DecoderTuning(model, sam)
    held = set(tuning.state_dict())
    assert held == {f"decoder.{name}" for name in sam.sam.mask_decoder.state_dict()}
    batch = [make(LabelKind.BOX, 1), make(LabelKind.MASK, 2, 2, 40, 44), make(LabelKind.POINT, 3)]
    optimiser = torch.optim.AdamW(tuning.parameters(), 2e-3)
    seen = []
    for _ in range(25):
        torch.manual_seed(0)
        losses = tuning.losses(batch)
        sum(losses.values()).backward()
        optimiser.step()
        optimiser.zero_grad()
        seen.append(losses["mask"].item())
    assert seen[-1] < 0.8 * seen[0]
    after = [*model.parameters(), *sam.sam.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_tags_alone_tune_nothing(sam, make):
    losses = DecoderTuning(lab(), sam).losses([make(LabelKind.TAG)])
    total = sum(losses.values())
    total.backward()
    assert total.item() == 0 and set(losses) == {"mask", "iou"} and CATEGORIES > 1


def test_a_teacher_of_another_width_is_refused_before_anything_runs():
    model, wide = lab(), Teacher(tiny_sam(0, 2 * WIDTH, SIDE, (4, 4, 4, 4)), "wide", "1")
    wrong = f"tokens of width {WIDTH}, but teacher 'wide' reads tokens of width {2 * WIDTH}"
    with pytest.raises(ValueError, match=wrong):
        DecoderTuning(model, wide)
    with pytest.raises(ValueError, match=wrong):
        SamDecoderInference(model, wide, "embedding")
    SamDecoderInference(model, wide, "boxes")  # boxes have no width
