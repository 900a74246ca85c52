"""Training a small SAM: the same arithmetic as the package's, and prompts that mean masks."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from segment_anything.modeling import Sam
from torch import Tensor
from torch.nn import functional as F

from tests.numeric import OTHER_CODE, OTHER_SHAPE, close
from wsislib.data.sample import Label, LabelKind, Sample
from wsislib.models.sam.drawn_prompts import DrawnPrompts, PromptRule, draw_prompts, jitter_boxes
from wsislib.models.sam.prompts import Prompts
from wsislib.models.sam.sam import Teacher
from wsislib.models.sam.sam_training import SamTraining, decode_masks, every_second
from wsislib.models.sam.tiny_sam import tiny_sam

WEIGHT = torch.tensor([1.0, 2.0, 1.0])
SIDE = 32


@pytest.fixture(scope="module")
def nested() -> Sample:
    """A ring and the disc in it, the object of both, a second object, and the group of the two."""
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    far = ((x - 10) ** 2 + (y - 12) ** 2).float().sqrt()
    ring, disc = (far < 8) & (far >= 5), far < 5
    other = (x >= 14) & (x < 28) & (y >= 10) & (y < 22) & (far >= 8)
    masks = torch.stack([ring, disc, ring | disc, other, ring | disc | other])
    return make_sample(masks, torch.tensor([0, 0, 1, 1, 2]))


def make_sample(masks: Tensor, levels: Tensor) -> Sample:
    boxes = []
    for mask in masks:
        rows, columns = torch.nonzero(mask.any(1))[:, 0], torch.nonzero(mask.any(0))[:, 0]
        boxes.append([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    image = 0.2 + 0.6 * (masks.float() * torch.arange(1, len(masks) + 1)[:, None, None]).sum(0) / 15
    image = (image * 255).round() / 255  # as decoded pictures are
    label = Label(
        LabelKind.MASK, levels, boxes=torch.tensor(boxes, dtype=torch.float32), masks=masks
    )
    return Sample(image.expand(3, -1, -1).contiguous(), 1, label)


def some_prompts(sample: Sample, seed: int, rule: PromptRule | None = None) -> DrawnPrompts:
    generator = torch.Generator().manual_seed(seed)
    label = sample.label
    return draw_prompts(
        label.masks, label.boxes, WEIGHT[label.categories], rule or PromptRule(), generator
    )


def small_sam(seed: int = 0) -> Sam:
    return tiny_sam(seed, width=16, side=SIDE, widths=(8, 8, 8, 8))


def test_many_images_at_once_are_decoded_as_one_by_one(nested: Sample) -> None:
    sam = small_sam()
    teacher = Teacher(sam, "small", "")
    images = [nested.image, nested.image.flip(2)]
    embedded = teacher.embed(images)
    boxes = nested.label.boxes
    found = teacher.candidates(embedded, [Prompts(boxes=boxes), Prompts(boxes=boxes)])
    sparse = teacher.prompt_embeddings(Prompts(boxes=boxes), (SIDE, SIDE)).repeat(2, 1, 1)
    dense = sam.prompt_encoder.no_mask_embed.weight[:, :, None, None]
    features = embedded.features.repeat_interleave(len(boxes), 0)
    positions = sam.prompt_encoder.get_dense_pe()
    low, scores = decode_masks(sam.mask_decoder, features, positions, sparse, dense)
    close(low[:, 1:], torch.cat([f.low_logits for f in found]), OTHER_SHAPE, atol=1e-5)
    close(scores[:, 1:], torch.cat([f.scores for f in found]), OTHER_SHAPE, atol=1e-5)


@pytest.mark.parametrize("row", [0, 1])
@pytest.mark.parametrize("column", [0, 1])
def test_a_quarter_of_the_pixels_is_the_scaled_up_one(row: int, column: int) -> None:
    low = torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    whole = F.interpolate(low, scale_factor=2, mode="bilinear", align_corners=False)
    close(every_second(low, row, column), whole[..., row::2, column::2], OTHER_CODE)


def test_training_hands_prompts_over_as_the_teacher_does(nested: Sample) -> None:
    """Half pixels and all: the masks that the loss sees are those that a user gets."""
    sam = small_sam().eval()
    model = SamTraining(sam).eval()
    drawn = some_prompts(nested, 0)
    with torch.no_grad():
        low, scores = model._decode(model._embed([nested]), [drawn])
    teacher = Teacher(sam, "small", "")
    points, boxes = Prompts(points=drawn.points), Prompts(boxes=drawn.boxes)
    asked = [teacher.candidates([nested.image], [prompts])[0] for prompts in (points, boxes)]
    close(low[:, 1:], torch.cat([a.low_logits for a in asked]), OTHER_SHAPE, atol=1e-4)
    close(scores[:, 1:], torch.cat([a.scores for a in asked]), OTHER_SHAPE, atol=1e-4)


def test_every_parameter_that_answers_prompts_learns(nested: Sample) -> None:
    model = SamTraining(small_sam(), PromptRule(count=8))
    torch.manual_seed(0)
    losses = model.losses([nested, nested])
    assert sorted(losses) == ["iou", "mask", "single"]
    sum(losses.values()).backward()
    silent = {n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    # Prompts that training never gives: a mask, and a point on the background.
    never = ("mask_downscaling", "point_embeddings.0")
    assert {n for n in silent if not any(part in n for part in never)} == set()


def test_losses_follow_from_the_seed_of_the_step(nested: Sample) -> None:
    model = SamTraining(small_sam(), PromptRule(count=8))
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(float(model.losses([nested])["mask"].detach()))
    assert found[0] == found[1] != found[2]


def test_an_image_without_entries_trains_nothing(nested: Sample) -> None:
    empty = Sample(nested.image, 2, make_empty())
    model = SamTraining(small_sam(), PromptRule(count=8))
    losses = model.losses([empty])
    sum(losses.values()).backward()
    assert all(float(loss.detach()) == 0 for loss in losses.values())
    torch.manual_seed(1)
    alone = model.losses([nested])["mask"]
    torch.manual_seed(1)
    close(model.losses([nested, empty])["mask"], alone, OTHER_SHAPE)


def make_empty() -> Label:
    return Label(
        LabelKind.MASK,
        torch.zeros(0, dtype=torch.int64),
        boxes=torch.zeros(0, 4),
        masks=torch.zeros(0, SIDE, SIDE, dtype=torch.bool),
    )


def test_a_few_steps_learn_one_scene(nested: Sample) -> None:
    model = SamTraining(small_sam(), PromptRule(count=8))
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    course = []
    for step in range(40):
        torch.manual_seed(step)
        losses = model.losses([nested])
        course.append(float(losses["mask"].detach()))
        optimiser.zero_grad()
        sum(losses.values()).backward()
        optimiser.step()
    assert sum(course[-5:]) < 0.75 * sum(course[:5])


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_a_point_means_every_mask_that_holds_it(nested: Sample, seed: int, count: int) -> None:
    masks, levels = nested.label.masks[:count], nested.label.categories[:count]
    sample = make_sample(masks, levels)
    drawn = some_prompts(sample, seed, PromptRule(count=7))
    assert (len(drawn.points), len(drawn.boxes)) == (4, 3)
    for point, truths, valid in zip(drawn.points, drawn.truths, drawn.valid, strict=False):
        x, y = (int(value) for value in point)
        assert point.tolist() == [x + 0.5, y + 0.5]
        holds = set(torch.nonzero(masks[:, y, x])[:, 0].tolist())
        assert set(truths[valid].tolist()) == holds
        assert int(valid.sum()) == len(holds)
    assert drawn.valid[:, 0].all()


def test_a_box_means_the_masks_that_it_fits(nested: Sample) -> None:
    """The ring has the box of its object; the disc inside has not."""
    drawn = some_prompts(nested, 0, PromptRule(count=64, jitter=0.0))
    meant: dict[int, set[int]] = {}
    for truths, valid in zip(drawn.truths[32:], drawn.valid[32:], strict=True):
        meant[int(truths[0])] = set(truths[valid].tolist())
    assert meant == {0: {0, 2}, 1: {1}, 2: {0, 2}, 3: {3}, 4: {4}}
    for box, truths in zip(drawn.boxes, drawn.truths[32:], strict=True):
        assert torch.equal(box, nested.label.boxes[truths[0]])


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.floats(0, 1))
def test_jittered_boxes_stay_boxes_in_the_image(seed: int, share: float) -> None:
    boxes = torch.tensor([[0.0, 0, 64, 48], [3, 4, 4, 6], [60, 40, 64, 48]])
    moved = jitter_boxes(boxes, share, (48, 64), torch.Generator().manual_seed(seed))
    assert ((moved[:, 2:] - moved[:, :2]) >= 1).all()
    assert (moved >= 0).all() and (moved <= torch.tensor([64, 48, 64, 48])).all()
    if share == 0:
        assert torch.equal(moved, boxes)
