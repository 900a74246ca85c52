"""What a query's own mask says as a prompt."""

from dataclasses import replace

import pytest
import torch

from tests.numeric import OTHER_SHAPE, close
from wsislib.models.mask2former.padding import Padding
from wsislib.models.mask2former.query_decoder import Predictions
from wsislib.models.sam.prompts import Prompts
from wsislib.models.sam.sam_weights import load_tiny_sam
from wsislib.models.wish.builders import WishParts, wish_lab
from wsislib.models.wish.prompt_head import PromptHead
from wsislib.models.wish.prompts_from_masks import CELLS, moment_boxes, prompts_from_masks


def drawn(masks: torch.Tensor, padding: Padding | None = None) -> Predictions:
    """Predictions whose masks (L, B, Q, h, w) bool are these: a feature for each mask."""
    layers, images, queries, high, wide = masks.shape
    logits = torch.where(masks, 20.0, -20.0)
    features = logits.permute(1, 0, 2, 3, 4).flatten(1, 2)  # (B, L Q, h, w)
    rows = torch.eye(layers * queries).view(layers, 1, queries, -1)
    return Predictions(
        states=torch.zeros(layers, images, queries, 4),
        classes=torch.zeros(layers, images, queries, 3),
        embeddings=rows.expand(-1, images, -1, -1),
        features=features,
        padding=padding or Padding([(high, wide)] * images, (high, wide)),
    )


def one_box(x0: int, y0: int, x1: int, y1: int, high: int = 24, wide: int = 32) -> torch.Tensor:
    mask = torch.zeros(1, 1, 1, high, wide, dtype=torch.bool)
    mask[..., y0:y1, x0:x1] = True
    return mask


@pytest.mark.parametrize("box", [(3, 5, 20, 9), (0, 0, 32, 24), (7, 7, 8, 8), (30, 20, 32, 24)])
def test_the_box_of_a_box_is_the_box(box) -> None:
    said = drawn(one_box(*box))
    found = moment_boxes(said, said.embeddings)[0, 0, 0] * torch.tensor([32.0, 24, 32, 24])
    assert torch.allclose(found, torch.tensor(box, dtype=torch.float32), atol=0.05)


def test_a_mask_past_the_image_does_not_count() -> None:
    padding = Padding([(24, 16)], (24, 32))  # the image covers the left half of the canvas
    said = drawn(one_box(4, 6, 30, 12), padding)
    found = moment_boxes(said, said.embeddings)[0, 0, 0]
    wanted = torch.tensor([4 / 16, 6 / 24, 16 / 16, 12 / 24])
    assert torch.allclose(found, wanted, atol=0.01)


def test_a_mask_that_is_nowhere_still_has_a_place() -> None:
    said = drawn(torch.zeros(1, 1, 1, 24, 32, dtype=torch.bool))
    found = moment_boxes(said, said.embeddings)[0, 0, 0]
    assert torch.isfinite(found).all()
    assert torch.allclose(found, torch.tensor([0.0, 0, 1, 1]), atol=0.01)


def test_large_maps_are_looked_at_in_small() -> None:
    box = (20, 100, 180, 220)
    large = drawn(one_box(*box, high=256, wide=256))
    found = moment_boxes(large, large.embeddings)[0, 0, 0] * 256
    assert torch.allclose(found, torch.tensor(box, dtype=torch.float32), atol=256 / CELLS)


def test_tokens_are_those_of_the_teacher() -> None:
    teacher = load_tiny_sam()
    masks = torch.cat([one_box(4, 6, 12, 18), one_box(16, 2, 30, 20)], 1)  # two images
    said = drawn(masks)
    sizes = [(48, 64), (96, 64)]
    tokens = prompts_from_masks(said, sizes, teacher)
    assert tokens.shape == (1, 2, 1, 3, teacher.width) and not tokens.requires_grad
    for image, (box, size) in enumerate(zip([(4, 6, 12, 18), (16, 2, 30, 20)], sizes, strict=True)):
        high, wide = size
        scale = torch.tensor([wide / 32, high / 24, wide / 32, high / 24])
        true = (torch.tensor(box) * scale)[None]
        corners = teacher.prompt_embeddings(Prompts(boxes=true), size)[0]
        middle = teacher.prompt_embeddings(Prompts(points=(true[:, :2] + true[:, 2:]) / 2), size)
        assert torch.allclose(tokens[0, image, 0, 1:], corners, atol=0.02)
        assert torch.allclose(tokens[0, image, 0, 0], middle[0, 0], atol=0.02)


def test_the_last_layer_alone_is_the_last_of_all() -> None:
    teacher = load_tiny_sam()
    masks = torch.cat([one_box(4, 6, 12, 18), one_box(16, 2, 30, 20)], 0)  # two layers
    said = drawn(masks)
    both = prompts_from_masks(said, [(24, 32)], teacher)
    # Sines of coordinates times up to 2 pi times a few: a rounded coordinate moves them by 1e-6.
    close(
        prompts_from_masks(said, [(24, 32)], teacher, last=True), both[-1:], OTHER_SHAPE, atol=1e-5
    )
    assert (both[0] - both[1]).abs().max() > 0.1, "the comparison needs layers that differ"


def test_no_gradient_reaches_the_mask() -> None:
    said = drawn(one_box(4, 6, 12, 18))
    said = replace(said, embeddings=said.embeddings.clone().requires_grad_())
    head = PromptHead(4, 8, 128, sees="mask")
    head(said.states, prompts_from_masks(said, [(24, 32)], load_tiny_sam())).sum().backward()
    assert said.embeddings.grad is None and head.past.weight.grad is not None


@pytest.mark.parametrize(("sees", "own"), [("state", torch.zeros(1, 1, 2, 3, 8)), ("mask", None)])
def test_a_head_is_told_what_it_is_to_see(sees, own) -> None:
    with pytest.raises(AssertionError, match="given their tokens"):
        PromptHead(4, 8, 8, sees=sees)(torch.zeros(1, 1, 2, 4), own)


@torch.no_grad()
def test_a_model_says_prompts_from_its_masks() -> None:
    teacher = load_tiny_sam()
    model = wish_lab(3, teacher, WishParts(sees="mask", tokens="both")).eval()
    images = [torch.rand(3, 64, 64), torch.rand(3, 48, 64)]
    framed = model.segmenter.framing(images, False)
    said = model.segmenter.decode(framed)
    prompts = model.predict_prompts(said, framed.originals)
    alone = model.segmenter.framing(images[1:], False)
    again = model.predict_prompts(model.segmenter.decode(alone), alone.originals, last=True)
    assert prompts.shape[-2:] == (2, teacher.width)
    close(again[0, 0], prompts[-1, 1], OTHER_SHAPE, atol=1e-3)  # boxes of masks are steep
