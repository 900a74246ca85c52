"""Three scenes of discs, the same on every machine, as samples and as a data set."""

import numpy as np
import torch

from wsislib.data.sample import Category, Label, LabelKind, Sample

SIDE = 96


def scenes() -> list[Sample]:
    """Three images of coloured discs on noise, the same on every machine."""
    samples = []
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    for number in range(3):
        draw = np.random.default_rng(number)
        image = torch.from_numpy(draw.random((3, SIDE, SIDE), dtype=np.float32) * 0.2)
        masks, boxes = [], []
        for k in range(3):
            cx, cy, r = 20 + 26 * k, 24 + 17 * number, 10 + 2 * k
            mask = (x - cx) ** 2 + (y - cy) ** 2 < r * r
            image[k, mask] += 0.6
            masks.append(mask)
            boxes.append([cx - r + 1, cy - r + 1, cx + r, cy + r])
        kinds = torch.tensor([3, 3, 2], dtype=torch.uint8)
        masks[2] = torch.zeros_like(masks[2])
        label = Label(
            LabelKind.BOX,
            torch.tensor([0, 1, 2]),
            boxes=torch.tensor(boxes, dtype=torch.float32),
            masks=torch.stack(masks),
            kinds=kinds,
        )
        samples.append(Sample(image, number + 1, label))
    return samples


class Scenes:
    """`scenes` as a data set."""

    categories = (Category(3, "a"), Category(5, "b"), Category(9, "c"))
    image_ids = (1, 2, 3)

    def __init__(self) -> None:
        self.samples = scenes()

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]

    def ground_truth(self) -> dict:
        """Not used by training."""
        return {"images": [], "annotations": [], "categories": []}

    def fingerprint(self) -> str:
        """A name."""
        return "golden"
