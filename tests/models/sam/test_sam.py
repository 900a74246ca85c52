"""The teacher says, bit for bit, what the segment_anything package says.

Equal bits can be asked for: both run the package's own modules on inputs of the same shapes.
"""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from segment_anything import SamPredictor
from segment_anything.modeling import (
    ImageEncoderViT,
    MaskDecoder,
    PromptEncoder,
    Sam,
    TwoWayTransformer,
)
from torch import Tensor, nn

from tests.numeric import close
from wsislib.data.sample import Label, LabelKind
from wsislib.models.sam.prompts import Prompts, prompts_of
from wsislib.models.sam.sam import Teacher
from wsislib.models.sam.tiny_sam import tiny_sam

SIZES = [(64, 64), (40, 60), (90, 33), (17, 128)]  # (H, W): the side itself, smaller, larger


def small_vit_sam(seed: int = 0) -> Sam:
    """The package's own model, image encoder included, 64 px wide."""
    torch.manual_seed(seed)
    sam = Sam(
        image_encoder=ImageEncoderViT(
            img_size=64,
            patch_size=16,
            embed_dim=32,
            depth=2,
            num_heads=2,
            out_chans=16,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=2,
            global_attn_indexes=(1,),
        ),
        prompt_encoder=PromptEncoder(16, (4, 4), (64, 64), 8),
        mask_decoder=MaskDecoder(
            transformer_dim=16,
            transformer=TwoWayTransformer(depth=2, embedding_dim=16, num_heads=2, mlp_dim=32),
            iou_head_hidden_dim=16,
        ),
    )
    with torch.no_grad():
        for parameter in sam.parameters():  # the package starts some at zero
            parameter.add_(0.05 * torch.randn(parameter.shape))
    return sam.eval()


@pytest.fixture(scope="module")
def sam() -> Sam:
    return small_vit_sam()


@pytest.fixture(scope="module")
def teacher(sam: Sam) -> Teacher:
    return Teacher(sam, "small", "0")


def picture(height: int, width: int, seed: int = 0) -> Tensor:
    """(3, H, W) of whole 256ths, as a decoded photograph has."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (3, height, width), generator=generator) / 255


def pixels(image: Tensor) -> np.ndarray:
    return (image * 255).round().byte().permute(1, 2, 0).numpy()


def some_points(height: int, width: int, count: int, seed: int = 1) -> Tensor:
    draws = torch.rand(count, 2, generator=torch.Generator().manual_seed(seed))
    return draws * torch.tensor([width, height])


def some_boxes(height: int, width: int, count: int, seed: int = 2) -> Tensor:
    draws = torch.rand(count, 4, generator=torch.Generator().manual_seed(seed))
    limit = torch.tensor([width, height])
    low = draws[:, :2] * 0.5 * limit
    return torch.cat([low, low + (0.1 + 0.4 * draws[:, 2:]) * limit], dim=1)


def ask_package(sam: Sam, image: Tensor, point: Tensor | None, box: Tensor | None) -> tuple:
    """Masks, scores and low-resolution logits that `SamPredictor` gives to one prompt."""
    predictor = SamPredictor(sam)
    predictor.set_image(pixels(image))
    given = {"box": None if box is None else box.numpy().astype(np.float64) - 0.5}
    if point is not None:  # the package counts pixels, our coordinates have centres at +0.5
        given["point_coords"] = point[None].numpy().astype(np.float64) - 0.5
        given["point_labels"] = np.ones(1)
    return predictor.predict(**given, multimask_output=True, return_logits=True)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["point", "box"])
def test_a_prompt_gives_what_the_predictor_gives(
    sam: Sam, teacher: Teacher, size: tuple[int, int], kind: str
) -> None:
    image = picture(*size)
    point, box = some_points(*size, 1)[0], some_boxes(*size, 1)[0]
    prompts = Prompts(points=point[None]) if kind == "point" else Prompts(boxes=box[None])
    asked = (point, None) if kind == "point" else (None, box)
    masks, scores, low = ask_package(sam, image, *asked)
    (found,) = teacher.candidates([image], [prompts])
    assert found.logits.shape == (1, 3, *size)
    assert np.array_equal(found.logits[0].numpy(), masks)
    assert np.array_equal(found.scores[0].numpy(), scores)
    assert np.array_equal(found.low_logits[0].numpy(), low)
    assert torch.equal(found.masks, found.logits > 0)


def test_a_batch_of_images_gives_what_the_model_gives(sam: Sam, teacher: Teacher) -> None:
    """`Sam.forward` on images of several sizes, points on one and boxes on the others."""
    images = [picture(*size, seed=i) for i, size in enumerate(SIZES[:3])]
    points = some_points(*SIZES[0], 5)
    boxes = [some_boxes(*size, 4) for size in SIZES[1:3]]
    prompts = [Prompts(points=points), *(Prompts(boxes=b) for b in boxes)]
    resize = SamPredictor(sam).transform

    def prepared(image: Tensor) -> dict:
        size = tuple(image.shape[1:])
        resized = torch.as_tensor(resize.apply_image(pixels(image))).permute(2, 0, 1)
        return {"image": resized, "original_size": size}

    batch = [prepared(image) for image in images]
    counted = resize.apply_coords(points.double().numpy()[:, None] - 0.5, SIZES[0])
    batch[0]["point_coords"] = torch.as_tensor(counted, dtype=torch.float)
    batch[0]["point_labels"] = torch.ones(5, 1, dtype=torch.int)
    for entry, size, corners in zip(batch[1:], SIZES[1:3], boxes, strict=True):
        counted = resize.apply_boxes(corners.double().numpy() - 0.5, size)
        entry["boxes"] = torch.as_tensor(counted, dtype=torch.float)
    wanted = sam(batch, multimask_output=True)
    for found, want in zip(teacher.candidates(images, prompts), wanted, strict=True):
        assert torch.equal(found.masks, want["masks"])
        assert torch.equal(found.scores, want["iou_predictions"])
        assert torch.equal(found.low_logits, want["low_res_logits"])


@pytest.mark.parametrize("size", SIZES)
def test_prompt_embeddings_are_the_prompt_encoders(
    sam: Sam, teacher: Teacher, size: tuple[int, int]
) -> None:
    resize = SamPredictor(sam).transform
    points, boxes = some_points(*size, 6), some_boxes(*size, 6)
    counted = torch.as_tensor(resize.apply_coords(points.double().numpy() - 0.5, size)).float()
    wanted, _ = sam.prompt_encoder((counted[:, None], torch.ones(6, 1)), None, None)
    found = teacher.prompt_embeddings(Prompts(points=points), size)
    assert found.shape == (6, 2, teacher.width)
    assert torch.equal(found, wanted)
    counted = torch.as_tensor(resize.apply_boxes(boxes.double().numpy() - 0.5, size)).float()
    wanted, _ = sam.prompt_encoder(None, counted, None)
    assert torch.equal(teacher.prompt_embeddings(Prompts(boxes=boxes), size), wanted)


@pytest.mark.parametrize("size", [(64, 64), (32, 64), (128, 96)])
def test_the_middle_of_a_pixel_is_encoded_as_its_middle(
    sam: Sam, teacher: Teacher, size: tuple[int, int]
) -> None:
    """The half pixel written out: pixel j of the image as given is j * scale + 0.5 of 64 px."""
    row, column = 3, 7
    point = torch.tensor([[column + 0.5, row + 0.5]])
    scale = 64 / max(size)
    place = torch.tensor([[[column * scale + 0.5, row * scale + 0.5]]]) / 64
    sine_and_cosine = sam.prompt_encoder.pe_layer._pe_encoding(place)
    wanted = sine_and_cosine[:, 0] + sam.prompt_encoder.point_embeddings[1].weight
    found = teacher.prompt_embeddings(Prompts(points=point), size)
    close(found[:, 0], wanted, "the place is worked out in another order", atol=1e-5)
    assert torch.equal(found[:, 1], sam.prompt_encoder.not_a_point_embed.weight)


def test_an_embedding_serves_many_prompts(teacher: Teacher) -> None:
    image = picture(40, 60)
    embedded = teacher.embed([image])
    first, second = Prompts(boxes=some_boxes(40, 60, 3)), Prompts(points=some_points(40, 60, 2))
    (direct,) = teacher.candidates([image], [second])
    teacher.candidates(embedded, [first])
    (again,) = teacher.candidates(embedded, [second])
    assert torch.equal(again.logits, direct.logits)


def test_no_prompt_gives_no_candidate(teacher: Teacher) -> None:
    (found,) = teacher.candidates([picture(40, 60)], [Prompts(boxes=torch.zeros(0, 4))])
    assert len(found) == 0
    assert found.logits.shape == (0, 3, 40, 60)
    assert teacher.prompt_embeddings(Prompts(points=torch.zeros(0, 2)), (40, 60)).shape[0] == 0


def test_autocast_around_the_teacher_changes_nothing(teacher: Teacher) -> None:
    """A cache that was filled in float32 must hold what a bfloat16 training would compute."""
    image, prompts = picture(64, 64), Prompts(points=some_points(64, 64, 3))
    (plain,) = teacher.candidates([image], [prompts])
    with torch.autocast("cpu", torch.bfloat16):
        (cast,) = teacher.candidates([image], [prompts])
        tokens = teacher.prompt_embeddings(prompts, (64, 64))
    assert torch.equal(cast.logits, plain.logits)
    assert tokens.dtype == torch.float32


def test_nothing_of_the_teacher_learns() -> None:
    teacher = Teacher(tiny_sam(seed=1), "tiny", "0")
    assert not teacher.sam.training
    assert not any(p.requires_grad for p in teacher.sam.parameters())
    assert not isinstance(teacher, nn.Module)  # so a model that holds it does not save it
    (found,) = teacher.candidates([picture(96, 96)], [Prompts(points=torch.tensor([[9.0, 9.0]]))])
    assert not found.logits.requires_grad


@settings(deadline=None, max_examples=15)
@given(x=st.floats(-20, 120, width=32), y=st.floats(-20, 120, width=32), which=st.integers(0, 2))
def test_a_point_is_taken_where_and_only_where_the_image_is(x: float, y: float, which: int) -> None:
    points = torch.tensor([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    points[which] = torch.tensor([x, y])
    if 0 <= x <= 100 and 0 <= y <= 60:
        assert Prompts(points=points).check((60, 100)) is not None
    else:
        with pytest.raises(ValueError, match=f"image 12, entry {which}: the point .* 100 x 60"):
            Prompts(points=points).check((60, 100), image_id=12)


@pytest.mark.parametrize(
    "box",
    [[5, 5, 5, 9], [5, 9, 9, 9], [9, 5, 5, 9], [-1, 0, 5, 5], [0, 0, 101, 5], [0, 0, 5, torch.nan]],
)
def test_a_box_that_is_none_is_refused(box: list[float]) -> None:
    boxes = torch.tensor([[0.0, 0.0, 100.0, 60.0], box])
    with pytest.raises(ValueError, match="entry 1: the box .* mend or remove"):
        Prompts(boxes=boxes).check((60, 100))


def test_labels_as_prompts() -> None:
    categories, boxes = torch.tensor([0, 1]), torch.tensor([[0.0, 0, 4, 4], [2, 2, 8, 8]])
    points = boxes[:, :2] + 1
    assert prompts_of(Label(LabelKind.BOX, categories, boxes=boxes)).boxes is boxes
    assert prompts_of(Label(LabelKind.POINT, categories, points=points)).points is points
    masks = torch.ones(2, 8, 8, dtype=torch.bool)
    full = Label(LabelKind.MASK, categories, boxes=boxes, masks=masks)
    assert prompts_of(full).boxes is boxes
    with pytest.raises(ValueError, match="tags only is no prompt"):
        prompts_of(Label(LabelKind.TAG, categories))
    kinds = torch.tensor([1, 2], dtype=torch.uint8)
    with pytest.raises(ValueError, match="several kinds"):
        prompts_of(Label(LabelKind.POINT, categories, points=points, boxes=boxes, kinds=kinds))
