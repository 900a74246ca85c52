"""IoU of a teacher with true masks of photographs, by size, beside what needs no training."""

import pytest
import torch
from torch import Tensor

from wsisbook.recipes.photo_quality import measure_on_photographs
from wsislib.data.sample import Category, Label, LabelKind, Sample
from wsislib.models.sam.prompts import Prompts
from wsislib.models.sam.sam import MaskCandidates

HEIGHT, WIDTH = 120, 130


class OnePhotograph:
    """A square of 20 px and one of 100 px."""

    categories = (Category(1, "thing"),)
    image_ids = (7,)

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Sample:
        if index:
            raise IndexError
        masks = torch.zeros(2, HEIGHT, WIDTH, dtype=torch.bool)
        masks[0, 5:25, 5:25] = True
        masks[1, 15:115, 28:128] = True
        boxes = torch.tensor([[5.0, 5, 25, 25], [28, 15, 128, 115]])
        label = Label(LabelKind.MASK, torch.zeros(2, dtype=torch.int64), boxes=boxes, masks=masks)
        image = torch.full((3, HEIGHT, WIDTH), 0.2)
        image[:, masks.any(0)] = 0.9
        return Sample(image, 7, label)


class HalfRight:
    """Second candidate right, first the upper half of it; the first has the better score."""

    device = torch.device("cpu")

    def embed(self, images: list[Tensor]) -> list[Tensor]:
        return images

    def candidates(self, images: list[Tensor], prompts: list[Prompts]) -> list[MaskCandidates]:
        masks = OnePhotograph()[0].label.masks
        if prompts[0].points is not None:
            places = prompts[0].points.long()
            assert masks[[0, 1], places[:, 1], places[:, 0]].all(), "each point on its object"
        half = masks.clone()
        half[0, 15:] = False
        half[1, 65:] = False
        logits = torch.stack([half, masks, torch.zeros_like(masks)], 1).float() - 0.5
        return [MaskCandidates(logits, torch.tensor([[0.9, 0.5, 0.1]] * 2), logits)]


def test_best_chosen_and_sizes() -> None:
    quality = measure_on_photographs(HalfRight(), OnePhotograph(), baselines=True)  # type: ignore
    for kind in ("box", "point"):
        assert quality[kind]["all"] == {"best": 1.0, "chosen": 0.5, "masks": 2}
        assert quality[kind]["small"] == {"best": 1.0, "chosen": 0.5, "masks": 1}
        assert quality[kind]["large"]["masks"] == 1
        assert "medium" not in quality[kind]
    assert quality["filled box"]["all"]["best"] == 1.0
    assert quality["GrabCut"]["all"]["masks"] == 2


def test_without_baselines_they_are_left_out() -> None:
    quality = measure_on_photographs(HalfRight(), OnePhotograph())  # type: ignore
    assert set(quality) == {"box", "point"}


def test_points_do_not_depend_on_the_other_images() -> None:
    one, other = (measure_on_photographs(HalfRight(), OnePhotograph(), seed=s) for s in (0, 0))  # type: ignore
    assert one == other
    assert one["box"]["all"]["best"] == pytest.approx(1.0)
