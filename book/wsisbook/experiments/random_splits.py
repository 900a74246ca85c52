"""Experiment `random_splits`: what transfer gains on many splits of the categories.

Hu et al., Learning to Segment Every Thing, figure 3: on each of 25 random splits a class-agnostic
mask head and one by weight transfer (class and box weights, two layers, no MLP), both over the
frozen detector of stage-wise training. All heads of all splits learn side by side in one run. In
the figure x is the mean number of training instances of the categories of A, y the relative gain
in mask AP on B of transfer over the class-agnostic head.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from wsisbook.experiments import training
from wsisbook.experiments.mask_heads import build_heads, labelled_for, learnt_categories
from wsisbook.experiments.partial_data import data_sets, instances_by_category, named_split
from wsisbook.experiments.sequential_heads import SequentialHeads
from wsisbook.experiments.settings import SPLIT_KINDS, RandomSplitsConfig
from wsisbook.runs.experiments import Context, Outcome
from wsislib.data.sample import Dataset
from wsislib.engine.device import pick_device
from wsislib.engine.evaluate import coco_ap
from wsislib.engine.predict import Result, as_results
from wsislib.labels.splits import Split

DRAWS = 1000  # of the bootstrap
MIN_POINTS = 4  # with fewer a rank correlation says nothing


def run_random_splits(context: Context) -> Outcome:
    """Train the heads of all splits and judge each on its B."""
    config: RandomSplitsConfig = context.config
    train_data, val = data_sets(config)
    splits = splits_of(config, len(train_data.categories))
    by_head = {f"{name}-{kind}": split for name, split in splits.items() for kind in SPLIT_KINDS}
    learnt = learnt_categories(config, by_head)
    labelled = labelled_for(train_data, learnt)
    model = SequentialHeads.of(build_heads(config, train_data, learnt, context.seed))
    context.on_model(model)
    training.load_detector(model, context)
    fitted = training.train_model(context, model, labelled)
    masks = predict_splits(context, model, val, by_head)
    metrics = judge_splits(train_data.ground_truth(), val.ground_truth(), masks, splits)
    return training.record(context, fitted, labelled, val, metrics, {"heads": len(by_head)})


def splits_of(config: RandomSplitsConfig, category_count: int) -> dict[str, Split]:
    """Split name -> who is in A and who in B."""
    splits = {}
    for name, (size, trial) in config.split_names().items():
        drawn = name if config.draw == "paper" else "world"
        splits[name] = named_split(drawn, size, trial, category_count)
        if not splits[name].b:
            raise ValueError(f"split {name}: A holds all {category_count} categories; take less")
    return splits


class SmallResult(NamedTuple):
    """One predicted mask without its box: fifty heads predict many."""

    image_id: int
    category_id: int
    score: float
    size: tuple[int, int]
    counts: str

    @classmethod
    def of(cls, result: Result) -> SmallResult:
        """What is stored of a COCO result."""
        code = result["segmentation"]
        size, counts = tuple(code["size"]), code["counts"]
        return cls(result["image_id"], result["category_id"], result["score"], size, counts)

    def result(self) -> Result:
        """As a COCO result without its box."""
        return {
            "image_id": self.image_id,
            "category_id": self.category_id,
            "score": self.score,
            "segmentation": {"size": list(self.size), "counts": self.counts},
        }


def predict_splits(
    context: Context, model: SequentialHeads, dataset: Dataset, splits: Mapping[str, Split]
) -> dict[str, list[SmallResult]]:
    """Masks that every head predicts of the B of its split, in float32.

    The model is moved to the context's device and left in evaluation mode.
    """
    device = pick_device(context.device)
    model.to(device).eval()
    judged = {head: ~split.mask_categories() for head, split in splits.items()}
    masks: dict[str, list[SmallResult]] = {head: [] for head in splits}
    with torch.inference_mode():
        for samples in training.sample_batches(dataset, "predict", context.progress):
            by_head = model.predict_among([s.image.to(device) for s in samples], judged)
            for head, images in by_head.items():
                for sample, detections in zip(samples, images, strict=True):
                    results = as_results(detections, sample.image_id, dataset.categories)
                    masks[head] += (SmallResult.of(result) for result in results)
    return masks


def judge_splits(
    train_data: Mapping[str, Any],
    truth: Mapping[str, Any],
    masks: Mapping[str, Iterable[SmallResult]],
    splits: Mapping[str, Split],
) -> dict[str, Any]:
    """The numbers of every split, and their summary.

    `train_data` and `truth`, of the images that the masks were predicted in, are COCO
    dictionaries; `masks` are those on B of `<split>-class-agnostic` and `<split>-transfer`.

    Returns:
        `summary` of the splits; "category_instances", training instances of each category in
        order; and under "splits" of each "a_count", "instances", "relative_gain", and its heads
        "class-agnostic" and "transfer": "AP", "AP50" and "per_category", all on B.
    """
    instances = instances_by_category(train_data)
    numbers: dict[str, dict[str, Any]] = {}
    for name, split in splits.items():
        line: dict[str, Any] = {
            "a_count": len(split.a),
            "instances": statistics.fmean(instances[c] for c in split.a),
        }
        for kind in SPLIT_KINDS:
            results = [mask.result() for mask in masks[f"{name}-{kind}"]]
            ap = coco_ap(truth, results, categories=split.b)
            line[kind] = {"AP": ap.AP, "AP50": ap.AP50, "per_category": dict(ap.per_category)}
        line["relative_gain"] = relative_gain(line["transfer"]["AP"], line["class-agnostic"]["AP"])
        numbers[name] = line
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
            axis: asdict(rank_correlation([split[axis] for split in everyone], gains))
            for axis in ("instances", "a_count")
        },
    }


def relative_gain(transfer: float, baseline: float) -> float:
    """Percent by which `transfer` lies above `baseline`; NaN where the baseline is 0."""
    return 100 * (transfer / baseline - 1) if baseline > 0 else math.nan


def _means(splits: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Means over some splits, each over those where the number is defined; NaN over none."""
    means: dict[str, float] = {"split_count": len(splits)}
    for name in ("relative_gain", "instances", "a_count"):
        known = [split[name] for split in splits if math.isfinite(split[name])]
        means[name] = statistics.fmean(known) if known else math.nan
    return means


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rank correlation."""

    rho: float  # -1..1; NaN where it is undefined (too few points, or all alike on one axis)
    p: float  # chance of so large a correlation among n unrelated points (two-sided, Student's t)
    low: float  # 95 % percentile bootstrap interval of `rho`
    high: float
    n: int  # points
    groups: int  # drawn in the bootstrap; equal to n where every point stands for itself

    @property
    def brief(self) -> str:
        """'-0.27 (-0.34 to -0.19)', for a table."""
        if math.isnan(self.rho):
            return "undefined"
        return f"{self.rho:+.2f} ({self.low:+.2f} to {self.high:+.2f})"

    def __str__(self) -> str:
        if math.isnan(self.rho):
            return f"undefined (n = {self.n})"
        interval = f"95 % interval {self.low:+.2f} to {self.high:+.2f}"
        of = "" if self.groups == self.n else f" from {self.groups} groups"
        return f"{self.rho:+.2f} ({interval}, p = {self.p:.2g}, n = {self.n}{of})"


def rank_correlation(
    x: ArrayLike,
    y: ArrayLike,
    groups: Sequence[object] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> RankCorrelation:
    """Spearman's correlation of `x` (n,) and `y` (n,), pairs with a NaN left out.

    `groups` (n,) is what each pair belongs to, where pairs are not independent: the bootstrap
    then draws whole groups. `p` ignores groups; trust the interval.

    Raises:
        ValueError: the lengths differ.
    """
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    names = np.arange(len(a)) if groups is None else np.unique(list(groups), return_inverse=True)[1]
    if not a.shape == b.shape == names.shape or a.ndim != 1:
        raise ValueError(
            f"rank_correlation wants x, y and groups of one length, got {a.shape}, {b.shape} "
            f"and {names.shape}"
        )
    known = np.isfinite(a) & np.isfinite(b)
    a, b, names = a[known], b[known], names[known]
    members = [np.flatnonzero(names == name) for name in np.unique(names)]
    if len(a) < MIN_POINTS or np.ptp(a) == 0 or np.ptp(b) == 0:
        return RankCorrelation(math.nan, math.nan, math.nan, math.nan, len(a), len(members))
    rho, p = stats.spearmanr(a, b)
    generator = np.random.default_rng(seed)
    drawn = [_bootstrap(a, b, members, generator) for _ in range(draws)]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return RankCorrelation(float(rho), float(p), float(low), float(high), len(a), len(members))


def _bootstrap(
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    members: list[NDArray[np.intp]],
    generator: np.random.Generator,
) -> float:
    """The correlation of one draw of groups; NaN where it has only one value on an axis."""
    chosen = generator.integers(len(members), size=len(members))
    pairs = np.concatenate([members[group] for group in chosen])
    with np.errstate(invalid="ignore"):
        ranks = stats.rankdata(a[pairs]), stats.rankdata(b[pairs])
        return float(np.corrcoef(*ranks)[0, 1])
