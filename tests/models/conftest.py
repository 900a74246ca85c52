"""Small labelled images for the model tests."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from wsislib.data.sample import Label, LabelKind, Sample
from wsislib.labels.weaken import weaken

sys.path.insert(0, str(Path(__file__).parent))  # so that tests can share drawn_wish_for_tests

MakeSample = Callable[..., Sample]


@pytest.fixture(autouse=True)
def same_draws():
    """What a test draws from the global generator hangs on no test that ran before it.

    Else a decision that is far from a tie in one order of the tests is near one in another.
    """
    torch.manual_seed(0)


@pytest.fixture
def make_sample() -> MakeSample:
    """A function that draws one image with `count` rectangles on it, from a seed."""

    def make(seed: int, count: int = 3, height: int = 96, width: int = 96, categories: int = 5):
        g = torch.Generator().manual_seed(seed)
        corner = torch.rand(count, 2, generator=g) * torch.tensor([width, height]) * 0.5
        side = (torch.rand(count, 2, generator=g) * 0.3 + 0.15) * min(height, width)
        boxes = torch.cat([corner, corner + side], 1).round()
        masks = torch.zeros(count, height, width, dtype=torch.bool)
        for k, (x0, y0, x1, y1) in enumerate(boxes.int().tolist()):
            masks[k, y0:y1, x0:x1] = True
        image = torch.rand(3, height, width, generator=g) * 0.3
        image[:, masks.any(0)] += 0.6
        labels = torch.randint(0, categories, (count,), generator=g)
        label = Label(LabelKind.MASK, labels, boxes=boxes, masks=masks)
        return Sample(image, seed + 1, label)

    return make


@pytest.fixture
def same_points(monkeypatch):
    """Every draw of k points gives the same k points, for whomever they are drawn."""
    real = torch.rand

    def rand(*size, **how):
        if len(size) < 3:
            return real(*size, **how)
        drawn = real(*size[1:], generator=torch.Generator().manual_seed(size[1]))
        return drawn.repeat(size[0], 1, 1)

    monkeypatch.setattr(torch, "rand", rand)


@pytest.fixture
def make(make_sample):
    """A sample with a label of the wanted kind, made from masks."""
    from drawn_wish_for_tests import CATEGORIES, SIDE

    def one(kind, seed=0, count=3, height=SIDE, width=SIDE):
        sample = make_sample(seed, count, height, width, CATEGORIES)
        label = weaken(sample.label, kind, torch.Generator().manual_seed(seed))
        return replace(sample, label=label)

    return one
