"""Large images: masks made one at a time are those that are made all at once."""

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsislib.data.rle import decode_segmentation, encode_mask, encode_window, read_at, rle_area
from wsislib.data.sample import Category, Label, LabelKind, Sample, WindowDetection
from wsislib.engine import predict
from wsislib.engine.predict import as_results, predict_all, predict_image
from wsislib.models.mask2former.builders import mask2former_small
from wsislib.models.maskrcnn.builders import mask_rcnn_small
from wsislib.photos.recipe import limit_detections

CATEGORIES = tuple(Category(i, f"kind {i}") for i in (3, 5, 9))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 9), st.sampled_from([0.0, 0.5, 1]))
def test_the_code_of_a_window_is_that_of_the_whole_mask(seed, high, wide, share):
    rng = np.random.default_rng(seed)
    height, width = high + int(rng.integers(0, 5)), wide + int(rng.integers(0, 5))
    top, left = int(rng.integers(0, height - high + 1)), int(rng.integers(0, width - wide + 1))
    window = rng.random((high, wide)) < share
    whole = np.zeros((height, width), dtype=bool)
    whole[top : top + high, left : left + wide] = window
    code = encode_window(window, top, left, height, width)
    assert code == encode_mask(whole)
    rows, columns = np.arange(0, height, 2), np.arange(width % 2, width, 3)
    assert np.array_equal(read_at(code, rows, columns), whole[rows][:, columns])
    assert np.array_equal(decode_segmentation(code, height, width), whole)


@pytest.fixture(params=["mask-rcnn", "mask2former"])
def model(request):
    if request.param == "mask-rcnn":
        return mask_rcnn_small(3, "class-agnostic", 0, image_side=(64, 96)).eval()
    return mask2former_small(3, 0, (64, 96)).eval()


@pytest.mark.parametrize("size", [(64, 96), (150, 100), (40, 33)])
def test_one_mask_at_a_time_is_the_same_as_all_at_once(model, size):
    image = torch.rand(3, *size, generator=torch.Generator().manual_seed(1))
    (found,) = model.predict([image])
    wanted = as_results(found, 7, CATEGORIES)
    results = predict_image(model, image, 7, CATEGORIES)
    assert len(results) == len(wanted) > 10
    if model.__class__.__name__ == "MaskRCNN":
        assert results == wanted
        return
    for one, other in zip(results, wanted, strict=True):
        assert one["score"] == pytest.approx(other["score"], abs=1e-5)
    # Scores that tie may change places, so each is looked up; the last digit of a logit may move
    # a pixel at a border.
    masks = np.array([decode_segmentation(r["segmentation"], *size) for r in wanted])
    for result in results:
        twins = [i for i, r in enumerate(wanted) if r["category_id"] == result["category_id"]]
        mask = decode_segmentation(result["segmentation"], *size)
        differing = (masks[twins] != mask).sum(axis=(1, 2))
        assert differing.min() <= 2
        twin = wanted[twins[int(differing.argmin())]]
        assert result["bbox"] == pytest.approx(twin["bbox"], abs=2)


def test_large_images_take_their_turn_alone_and_in_order(model, monkeypatch):
    monkeypatch.setattr(predict, "LARGE", 100 * 100)
    sides = [40, 50, 110, 40, 120, 130, 60]
    label = Label(LabelKind.TAG, torch.zeros(0, dtype=torch.int64))

    class Sizes:
        categories, image_ids = CATEGORIES, tuple(range(1, 8))

        def __len__(self):
            return len(sides)

        def __getitem__(self, index):
            generator = torch.Generator().manual_seed(index)
            image = torch.rand(3, sides[index], sides[index], generator=generator)
            return Sample(image, index + 1, label)

    seen = []
    inner = model.predict
    model.predict = lambda images: seen.append([i.shape[-1] for i in images]) or inner(images)
    results = predict_all(model, Sizes(), device="cpu", batch_size=2)
    assert seen == [[40, 50], [40], [60]]
    ids = [result["image_id"] for result in results]
    assert ids == sorted(ids) and set(ids) == set(range(1, 8))


class Many:
    """300 objects of an image, each in a small window."""

    def predict_windows(self, image):
        for k in range(300):
            mask = torch.ones(60, 80, dtype=torch.bool)
            box = torch.tensor([10.0 * k, 12.0 * k, 10.0 * k + 80, 12.0 * k + 60])
            yield WindowDetection(box, k / 300, k % 3, 12 * k, 10 * k, mask)


def test_objects_of_a_large_image_cost_their_own_pixels():
    image = torch.zeros(1).expand(3, 4000, 6000)
    tracemalloc.start()
    results = predict_image(Many(), image, 1, CATEGORIES)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(results) == 300 and results[0]["score"] > results[-1]["score"]
    assert rle_area(results[0]["segmentation"]) == 60 * 80
    assert peak < 2e6  # a whole mask is 24 MB


def test_a_limit_of_detections_is_kept(model):
    image = torch.rand(3, 64, 96, generator=torch.Generator().manual_seed(1))
    limit_detections(model, 7)
    assert 0 < len(predict_image(model, image, 1, CATEGORIES)) <= 7


def test_a_part_of_an_image_gives_results_of_the_whole(model):
    image = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(2))
    alone = predict_image(model, image, 1, CATEGORIES)
    part = predict_image(model, image, 1, CATEGORIES, corner=(10, 20), size=(90, 100))
    for one, other in zip(alone, part, strict=True):
        assert other["bbox"] == pytest.approx([one["bbox"][0] + 20, one["bbox"][1] + 10,
                                               *one["bbox"][2:]], abs=1e-3)  # fmt: skip
        mask = decode_segmentation(other["segmentation"], 90, 100)
        assert np.array_equal(mask[10:74, 20:84], decode_segmentation(one["segmentation"], 64, 64))
        assert mask.sum() == mask[10:74, 20:84].sum()
