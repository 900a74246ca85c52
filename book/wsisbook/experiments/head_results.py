"""What several heads find in the same regions of a whole data set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from tqdm import tqdm

from wsislib.engine.predict import as_results, encode_masks

if TYPE_CHECKING:
    from wsislib.data.sample import Dataset
    from wsislib.models.maskrcnn.mask_heads import MaskHeads


class HeadResults:
    """COCO results of several heads, which differ in nothing but the masks.

    What is equal is kept once, so that fifty heads do not need fifty times the memory.

    Attributes:
        heads: their names.
    """

    def __init__(self, heads: tuple[str, ...]) -> None:
        self.heads = heads
        self._shared: list[dict[str, Any]] = []
        self._masks: dict[str, list[dict[str, Any]]] = {name: [] for name in heads}

    def add(self, shared: list[dict[str, Any]], masks: dict[str, list[dict[str, Any]]]) -> None:
        """Take one image's results with the masks of any head, and every head's mask codes."""
        self._shared += shared
        for name in self.heads:
            assert len(masks[name]) == len(shared)
            self._masks[name] += masks[name]

    def of(self, name: str) -> list[dict[str, Any]]:
        """COCO results of one head."""
        return [
            {**result, "segmentation": code}
            for result, code in zip(self._shared, self._masks[name], strict=True)
        ]


def predict_heads(
    model: MaskHeads,
    dataset: Dataset,
    *,
    device: torch.device,
    batch_size: int = 8,
    progress: bool = True,
) -> HeadResults:
    """What every head finds in every image, from one pass of the detector, in float32.

    The model is moved to `device` and left in evaluation mode.
    """
    model.to(device).eval()
    results = HeadResults(tuple(model.heads))
    with (
        torch.inference_mode(),
        tqdm(total=len(dataset), disable=not progress, unit="image", desc="predict") as bar,
    ):
        for start in range(0, len(dataset), batch_size):
            samples = [dataset[i] for i in range(start, min(start + batch_size, len(dataset)))]
            each = model.predict_each([sample.image.to(device) for sample in samples])
            for place, sample in enumerate(samples):
                own = {name: found[place] for name, found in each.items()}
                first = next(iter(own.values()))
                shared = as_results(first, sample.image_id, dataset.categories)
                codes = {
                    name: encode_masks(found.masks) if shared else [] for name, found in own.items()
                }
                results.add(shared, codes)
            bar.update(len(samples))
    return results
