"""Detections become COCO results without losing a pixel."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsislib.data.rle import decode_segmentation
from wsislib.data.sample import Category, Detections
from wsislib.engine.predict import as_results, encode_masks, predict_all


# pycocotools' decoder does not know numpy 2's copy argument yet.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(1, 4),
    height=st.integers(1, 20),
    width=st.integers(1, 20),
)
def test_codes_decode_to_the_masks(seed: int, count: int, height: int, width: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    masks = torch.rand(count, height, width, generator=generator) < 0.4
    codes = encode_masks(masks)
    assert all(code["size"] == [height, width] for code in codes)
    for code, mask in zip(codes, masks, strict=True):
        assert decode_segmentation(code, height, width).tolist() == mask.tolist()


def test_results_carry_ids_of_the_data_set_and_xywh() -> None:
    found = Detections(
        torch.tensor([[1.0, 2.0, 4.0, 8.5]]),
        torch.tensor([0.25]),
        torch.tensor([1]),
        torch.ones(1, 9, 9, dtype=torch.bool),
    )
    (result,) = as_results(found, 42, (Category(3, "a"), Category(90, "b")))
    assert result["category_id"] == 90
    assert result["bbox"] == [1.0, 2.0, 3.0, 6.5]
    assert (result["image_id"], result["score"]) == (42, 0.25)
    with pytest.raises(ValueError, match="image 42: a detection has category index 1"):
        as_results(found, 42, (Category(3, "a"),))


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_every_image_once_in_order(tiny: SimpleNamespace, batch_size: int) -> None:
    model, data = tiny.model().train(), tiny.dataset(9)
    model.norm.eval()
    results = predict_all(model, data, device="cpu", batch_size=batch_size, progress=False)
    assert [result["image_id"] for result in results] == list(data.image_ids)
    assert (model.training, model.norm.training, model.conv.training) == (True, False, True)


def test_runs_in_eval_mode_without_gradients(tiny: SimpleNamespace) -> None:
    model = tiny.model()
    seen = []
    inner = model.predict
    model.predict = lambda images: (
        seen.append(
            (model.training, torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu"))
        )
        or inner(images)
    )
    predict_all(model, tiny.dataset(2), device="cpu", progress=False)
    predict_all(model, tiny.dataset(2), device="cpu", progress=False, precision="bf16")
    assert seen == [(False, True, False), (False, True, True)]


def test_wrong_number_of_answers_is_refused(tiny: SimpleNamespace) -> None:
    model = tiny.model()
    model.predict = lambda images: []
    with pytest.raises(ValueError, match="0 answers for 3 images"):
        predict_all(model, tiny.dataset(3), device="cpu", progress=False)
