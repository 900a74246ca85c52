"""Experiment `random_splits`: what transfer gains on many splits of the categories.

Hu et al., Learning to Segment Every Thing, figure 3: on each of 25 random splits a class-agnostic
mask head and one by weight transfer (class and box weights, two layers, no MLP), both over the
frozen detector of stage-wise training. All heads of all splits learn side by side in one run.

What the heads of many splits find, and what transfer gains on each.

Hu et al., Learning to Segment Every Thing, figure 3: x is the mean number of training instances of
the categories of A, y the relative gain in mask AP on B of transfer over the class-agnostic head.

Rank correlation with the interval in which another draw of the same size would leave it.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from tqdm import tqdm

from wsisbook.experiments.frozen_detector import load_detector
from wsisbook.experiments.mask_heads import (
    HeadSpec,
    MaskHeadsConfig,
    build_heads,
    learnt_categories,
)
from wsisbook.experiments.mask_rcnn import train_config
from wsisbook.experiments.partial_data import data_files, data_sets, named_split
from wsisbook.runs.experiments import Context, Experiment, Outcome
from wsislib.engine.evaluate import coco_ap
from wsislib.engine.predict import as_results
from wsislib.labels.splits import RANDOM_SPLIT_SIZES, RANDOM_SPLIT_TRIALS, Split

if TYPE_CHECKING:
    from wsisbook.experiments.sequential_heads import SequentialHeads
    from wsislib.data.sample import Dataset
    from wsislib.labels.splits import Split


KINDS: tuple[Literal["class-agnostic", "transfer"], ...] = ("class-agnostic", "transfer")


@dataclass(frozen=True)
class RandomSplitsConfig(MaskHeadsConfig):
    """Settings of the splits, beside those of data and training. `heads` follow from them.

    Attributes:
        draw: "paper" takes the authors' 25 splits, which need 80 categories; "world" draws A of
            each size anew, with the trial as its seed.
        sizes: of A.
        trials: splits of each size.
    """

    draw: Literal["paper", "world"] = "paper"
    sizes: tuple[int, ...] = RANDOM_SPLIT_SIZES
    trials: int = RANDOM_SPLIT_TRIALS

    def __post_init__(self) -> None:
        if self.heads:
            raise ValueError("heads follow from `sizes` and `trials` here; leave `heads` out")
        if not self.sizes or len(set(self.sizes)) < len(self.sizes):
            raise ValueError(f"sizes are {list(self.sizes)}; give different sizes of A, at least 1")
        if self.trials < 1:
            raise ValueError(f"trials is {self.trials}; it must be 1 or more")
        super().__post_init__()

    def split_names(self) -> dict[str, tuple[int, int]]:
        """Split -> (size of A, trial), trials outside as in the authors' code."""
        trials = range(1, self.trials + 1)
        return {f"random-{n}-trial-{t}": (n, t) for t in trials for n in self.sizes}

    def specs(self) -> dict[str, HeadSpec]:
        """Two heads a split, called `<split>-<kind>`."""
        return {
            f"{name}-{kind}": self._spec(name, size, trial, kind)
            for name, (size, trial) in self.split_names().items()
            for kind in KINDS
        }

    def _spec(
        self, name: str, size: int, trial: int, kind: Literal["class-agnostic", "transfer"]
    ) -> HeadSpec:
        if self.draw == "paper":
            return HeadSpec(kind=kind, split=name)
        return HeadSpec(kind=kind, split="world", a_count=size, split_seed=trial)

    def splits(self, category_count: int) -> dict[str, Split]:
        """Split name -> who is in A and who in B.

        Raises:
            ValueError: the authors' splits of data without 80 categories, or a size that leaves
                nobody in B.
        """
        found = {}
        for name, (size, trial) in self.split_names().items():
            drawn = name if self.draw == "paper" else "world"
            found[name] = named_split(drawn, size, trial, category_count)
            if not found[name].b:
                raise ValueError(
                    f"split {name}: A holds all {category_count} categories; take less"
                )
        return found


def run_random_splits(context: Context) -> Outcome:
    """Train the heads of all splits and judge each on its B."""
    from wsisbook.experiments.sequential_heads import SequentialHeads
    from wsislib.engine.device import describe_device, pick_device
    from wsislib.engine.train import fit
    from wsislib.labels.datasets import PartialDataset

    config: RandomSplitsConfig = context.config
    train, val = data_sets(config)
    splits = config.splits(len(train.categories))
    by_head = {f"{name}-{kind}": split for name, split in splits.items() for kind in KINDS}
    learnt = learnt_categories(config, by_head)
    members = sorted({category for own in learnt.values() for category in own})
    labelled = PartialDataset(train, members)
    heads = build_heads(config, train, learnt, context.seed)
    model = SequentialHeads.of(heads)
    context.on_model(model)
    load_detector(model, context)
    device = pick_device(context.device)
    fitted = fit(
        model, labelled, train_config(config, context.seed), context.folder,
        device=device, progress=context.progress,
    )  # fmt: skip
    found = predict_splits(model, val, by_head, device=device, progress=context.progress)
    checkpoints = context.folder / "checkpoints"
    return Outcome(
        metrics=judge_splits(train.ground_truth(), val.ground_truth(), found, splits),
        data={"train": labelled.fingerprint(), "val": val.fingerprint()},
        device=describe_device(device),
        files={"history.csv": context.folder / "history.csv"},
        weights={name: checkpoints / name for name in ("final.safetensors", "final.json")},
        peak_memory_mib=fitted.peak_memory_mib,
        notes={"training_seconds": round(fitted.seconds, 1), "heads": len(by_head)},
    )


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


DRAWS = 1000
LEAST = 4  # points; with fewer a rank correlation says nothing


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rank correlation.

    Attributes:
        rho: -1..1; NaN where it is undefined (too few points, or all alike on one axis).
        p: chance of so large a correlation among n unrelated points (two-sided, by Student's t).
        low, high: 95 % percentile bootstrap interval of `rho`.
        n: points.
        groups: what was drawn in the bootstrap; equal to n where every point stands for itself.
    """

    rho: float
    p: float
    low: float
    high: float
    n: int
    groups: int

    def numbers(self) -> dict[str, float]:
        """As plain numbers by name."""
        return asdict(self)

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
    """Spearman's correlation of `x` and `y`, pairs with a NaN left out.

    Args:
        x: (n,) numbers.
        y: (n,) numbers.
        groups: (n,) what each pair belongs to, where pairs are not independent: the bootstrap
            then draws whole groups. `p` knows nothing of groups; trust the interval.
        draws: of the bootstrap.
        seed: of the draws.

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
    if len(a) < LEAST or np.ptp(a) == 0 or np.ptp(b) == 0:
        return RankCorrelation(math.nan, math.nan, math.nan, math.nan, len(a), len(members))
    rho, p = stats.spearmanr(a, b)
    generator = np.random.default_rng(seed)
    drawn = [_drawn(a, b, members, generator) for _ in range(draws)]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return RankCorrelation(float(rho), float(p), float(low), float(high), len(a), len(members))


def _drawn(
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    members: list[NDArray[np.intp]],
    generator: np.random.Generator,
) -> float:
    """The correlation of one bootstrap draw of groups; NaN where it has only one value."""
    chosen = generator.integers(len(members), size=len(members))
    pairs = np.concatenate([members[group] for group in chosen])
    with np.errstate(invalid="ignore"):
        ranks = stats.rankdata(a[pairs]), stats.rankdata(b[pairs])
        return float(np.corrcoef(*ranks)[0, 1])


def _parts(config: Any) -> tuple[str, ...]:
    return (config.data, "labels", "mask_rcnn", "transfer", "engine", "evaluation")


RANDOM_SPLITS = Experiment(RandomSplitsConfig, run_random_splits, _parts, data_files)
