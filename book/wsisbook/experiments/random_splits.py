"""Experiment `random_splits`: what transfer gains on many splits of the categories.

Hu et al., Learning to Segment Every Thing, figure 3: on each of 25 random splits a class-agnostic
mask head and one by weight transfer (class and box weights, two layers, no MLP), both over the
frozen detector of stage-wise training. All heads of all splits learn side by side in one run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from wsisbook.experiments.frozen_detector import load_detector
from wsisbook.experiments.head_spec import HeadSpec
from wsisbook.experiments.mask_heads import MaskHeadsConfig, build_heads, learnt_categories
from wsisbook.experiments.mask_rcnn import train_config
from wsisbook.experiments.partial_data import data_files, data_sets, named_split
from wsisbook.runs.experiments import Context, Experiment, Outcome
from wsislib.labels.splits import RANDOM_SPLIT_SIZES, RANDOM_SPLIT_TRIALS, Split

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
    from wsisbook.experiments.split_results import judge_splits, predict_splits
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


def _parts(config: Any) -> tuple[str, ...]:
    return (config.data, "labels", "mask_rcnn", "transfer", "engine", "evaluation")


RANDOM_SPLITS = Experiment(RandomSplitsConfig, run_random_splits, _parts, data_files)
