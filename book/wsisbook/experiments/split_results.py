"""What the heads of many splits find, and what transfer gains on each.

Hu et al., Learning to Segment Every Thing, figure 3: x is the mean number of training instances of
the categories of A, y the relative gain in mask AP on B of transfer over the class-agnostic head.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from tqdm import tqdm

from wsisbook.experiments.ranks import rank_correlation
from wsislib.engine.evaluate import coco_ap
from wsislib.engine.predict import as_results

if TYPE_CHECKING:
    from wsisbook.experiments.sequential_heads import SequentialHeads
    from wsislib.data.sample import Dataset
    from wsislib.labels.splits import Split


class Found(NamedTuple):
    """One mask, kept small: fifty heads find many."""

    image_id: int
    category_id: int
    score: float
    size: tuple[int, int]
    counts: str


def predict_splits(
    model: SequentialHeads,
    dataset: Dataset,
    splits: Mapping[str, Split],
    *,
    device: torch.device,
    batch_size: int = 8,
    progress: bool = True,
) -> dict[str, list[Found]]:
    """Masks of B that every head finds, from one pass of the detector, in float32.

    Args:
        model: moved to `device` and left in evaluation mode.
        dataset: its images.
        splits: head -> its split.
        device: where to.
        batch_size: images at a time.
        progress: show a progress bar.
    """
    model.to(device).eval()
    judged = {head: ~split.mask_categories() for head, split in splits.items()}
    found: dict[str, list[Found]] = {head: [] for head in splits}
    bar = tqdm(total=len(dataset), disable=not progress, unit="image", desc="predict")
    with torch.inference_mode(), bar:
        for start in range(0, len(dataset), batch_size):
            samples = [dataset[i] for i in range(start, min(start + batch_size, len(dataset)))]
            each = model.predict_among([sample.image.to(device) for sample in samples], judged)
            for head, answers in each.items():
                for sample, detections in zip(samples, answers, strict=True):
                    results = as_results(detections, sample.image_id, dataset.categories)
                    found[head] += (_small(result) for result in results)
            bar.update(len(samples))
    return found


def judge_splits(
    train: Mapping[str, Any],
    truth: Mapping[str, Any],
    found: Mapping[str, Iterable[Found]],
    splits: Mapping[str, Split],
) -> dict[str, Any]:
    """The numbers of every split, and what they say together.

    Args:
        train: COCO dictionary of the training data.
        truth: that of the images that `found` was found in.
        found: `<split>-class-agnostic` and `<split>-transfer` -> their masks on B.
        splits: split -> who is in A and B.

    Returns:
        `summary` of the splits; "category_instances", training instances of each category in
        order; and under "splits" of each "a_count", "instances",
        "relative_gain", and its heads "class-agnostic" and "transfer":
        "AP", "AP50" and "per_category", all on B.
    """
    instances = instances_by_category(train)
    numbers: dict[str, dict[str, Any]] = {}
    for name, split in splits.items():
        own: dict[str, Any] = {
            "a_count": len(split.a),
            "instances": statistics.fmean(instances[c] for c in split.a),
        }
        for kind in ("class-agnostic", "transfer"):
            results = [_large(one) for one in found[f"{name}-{kind}"]]
            result = coco_ap(truth, results, categories=split.b)
            own[kind] = {
                "AP": result.AP, "AP50": result.AP50, "per_category": dict(result.per_category),
            }  # fmt: skip
        own["relative_gain"] = relative_gain(own["transfer"]["AP"], own["class-agnostic"]["AP"])
        numbers[name] = own
    return {**summary(numbers), "category_instances": instances, "splits": numbers}


def summary(splits: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Means over all splits, over those below and above the median of instances, and ranks.

    The splits at the median belong to neither half.
    """
    everyone = list(splits.values())
    middle = statistics.median(split["instances"] for split in everyone)
    gains = [split["relative_gain"] for split in everyone]
    return {
        **_means(everyone),
        "median_instances": middle,
        "few-instances": _means([split for split in everyone if split["instances"] < middle]),
        "many-instances": _means([split for split in everyone if split["instances"] > middle]),
        "rank": {
            axis: rank_correlation([split[axis] for split in everyone], gains).numbers()
            for axis in ("instances", "a_count")
        },
    }


def relative_gain(transfer: float, baseline: float) -> float:
    """Percent by which `transfer` lies above `baseline`; NaN where the baseline is 0."""
    return 100 * (transfer / baseline - 1) if baseline > 0 else math.nan


def instances_by_category(ground_truth: Mapping[str, Any]) -> list[int]:
    """How many instances (crowd regions apart) each category has, in the order of categories."""
    counted = Counter(
        entry["category_id"] for entry in ground_truth["annotations"] if not entry.get("iscrowd")
    )
    return [counted[category["id"]] for category in ground_truth["categories"]]


def _means(splits: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Means over some splits, each over those where the number is defined; NaN over none."""
    means: dict[str, float] = {"split_count": len(splits)}
    for name in ("relative_gain", "instances", "a_count"):
        known = [split[name] for split in splits if math.isfinite(split[name])]
        means[name] = statistics.fmean(known) if known else math.nan
    return means


def _small(result: Mapping[str, Any]) -> Found:
    code = result["segmentation"]
    return Found(
        result["image_id"], result["category_id"], result["score"], tuple(code["size"]),
        code["counts"],
    )  # fmt: skip


def _large(found: Found) -> dict[str, Any]:
    """As a COCO result without its box."""
    return {
        "image_id": found.image_id,
        "category_id": found.category_id,
        "score": found.score,
        "segmentation": {"size": list(found.size), "counts": found.counts},
    }
