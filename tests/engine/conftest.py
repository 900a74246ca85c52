"""A model and a data set small enough that a training run takes a second."""

from collections.abc import Sequence
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from wsislib.data.sample import Category, Detections, Label, LabelKind, Sample

SIDE = 12


class TinyDataset:
    """Bright squares on noise; the tag says in which half the square lies."""

    categories = (Category(3, "left"), Category(7, "right"))

    def __init__(self, count: int = 10) -> None:
        self.image_ids = tuple(100 + 3 * i for i in range(count))

    def __len__(self) -> int:
        return len(self.image_ids)

    def __getitem__(self, index: int) -> Sample:
        generator = torch.Generator().manual_seed(index)
        image = torch.rand(3, SIDE, SIDE, generator=generator) * 0.3
        side = index % 2
        image[:, 4:8, 1 + 6 * side : 5 + 6 * side] += 0.6
        label = Label(LabelKind.TAG, torch.tensor([side]))
        return Sample(image, self.image_ids[index], label)

    def ground_truth(self) -> dict:
        return {"images": [], "annotations": [], "categories": []}

    def fingerprint(self) -> str:
        return "tiny"


class TinyModel(nn.Module):
    """Convolution, batch norm, dropout (draws from torch's global generator), linear layer.

    Its first loss is a mean over images, so it is the mean of its shares' losses.
    """

    def __init__(self, width: int = 4, dropout: float = 0.2, norm: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)
        self.norm = nn.BatchNorm2d(width) if norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width * (SIDE - 2) ** 2, 2)

    def losses(self, batch: Sequence[Sample]) -> dict[str, Tensor]:
        images = torch.stack([sample.image for sample in batch])  # (B, 3, H, W)
        wanted = torch.stack([sample.label.categories[0] for sample in batch])  # (B,)
        scores = self.linear(self.dropout(self.norm(self.conv(images)).relu()).flatten(1))
        return {
            "loss_tag": nn.functional.cross_entropy(scores, wanted),
            "loss_size": scores.square().mean(),
        }

    def predict(self, images: Sequence[Tensor]) -> list[Detections]:
        found = []
        for image in images:
            height, width = image.shape[-2:]
            mask = torch.zeros(1, height, width, dtype=torch.bool)
            mask[:, 4:8, 1:5] = True
            box = torch.tensor([[1.0, 4.0, 5.0, 8.0]])
            found.append(Detections(box, torch.tensor([0.5]), torch.tensor([0]), mask))
        return found


def tiny_model(seed: int = 0, **settings: object) -> TinyModel:
    """A `TinyModel` whose weights follow from `seed` alone."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return TinyModel(**settings)  # type: ignore[arg-type]


@pytest.fixture
def tiny() -> SimpleNamespace:
    """`tiny.model(seed, ...)` and `tiny.dataset(count)`."""
    return SimpleNamespace(model=tiny_model, dataset=TinyDataset)
