"""Experiment `head_objects`: trained heads object by object, for the gallery.

A run of many heads keeps the masks of a few scenes only. This one takes the weights of such runs
and lets some of their heads draw into the boxes of many more scenes, without any training. It
keeps what they drew, and how well it fits the objects of B and tells two objects in one box
apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsisbook.experiments.cases import Case, Pair, cases_of, of_categories, pairs_of
from wsisbook.experiments.mask_heads import MaskHeadsConfig, build_heads, learnt_categories
from wsisbook.experiments.partial_data import chosen_split, data_sets
from wsisbook.runs.config import RunConfig, config_from
from wsisbook.runs.experiments import Context, Experiment, Outcome
from wsislib.atomic import read_json

if TYPE_CHECKING:
    import torch

    from wsislib.data.sample import Category, Dataset, Sample
    from wsislib.models.maskrcnn.mask_heads import MaskHeads


@dataclass(frozen=True)
class HeadObjectsConfig(RunConfig):
    """Which heads of which runs, and on how many scenes.

    Attributes:
        heads: head -> the label, under `needs`, of the run that trained it. The label "heads"
            names the run whose split says who is in B.
        scenes: the first so many of the validation data.
        min_score: of detections that are kept, 0..1.
        least_overlap: of the boxes of two objects that count as lying in one, IoU.
    """

    heads: dict[str, str] = field(default_factory=dict)
    scenes: int = 120
    min_score: float = 0.5
    least_overlap: float = 0.45

    def __post_init__(self) -> None:
        if self.scenes < 1:
            raise ValueError(f"scenes is {self.scenes}; look at one at least")


class FirstScenes:
    """The first `count` scenes of a data set, all its categories kept."""

    def __init__(self, whole: Dataset, count: int) -> None:
        self.whole = whole
        self.count = count
        self.categories: tuple[Category, ...] = whole.categories
        self.image_ids: tuple[int, ...] = whole.image_ids[:count]

    def __len__(self) -> int:
        return min(self.count, len(self.whole))

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(f"scene {index} of {len(self)}")
        return self.whole[index]

    def ground_truth(self) -> dict[str, Any]:
        """The whole's, its images and annotations cut to the first scenes."""
        truth, kept = self.whole.ground_truth(), set(self.image_ids)
        images = [image for image in truth["images"] if image["id"] in kept]
        annotations = [entry for entry in truth["annotations"] if entry["image_id"] in kept]
        return {**truth, "images": images, "annotations": annotations}

    def fingerprint(self) -> str:
        """The whole's and the number of scenes."""
        return f"{self.whole.fingerprint()}-first-{len(self)}"


def run_head_objects(context: Context) -> Outcome:
    """Draw, compare object by object; metrics of each head are under its name."""
    from wsislib.engine.device import describe_device, pick_device

    config: HeadObjectsConfig = context.config
    device = pick_device(context.device)
    found: dict[str, list[dict[str, Any]]] = {}
    for label in dict.fromkeys(config.heads.values()):
        own = [head for head, where in config.heads.items() if where == label]
        found |= draw(_folder(context, label), own, config, context, device)
    source = source_config(_folder(context, "heads"))
    val = FirstScenes(data_sets(source)[1], config.scenes)
    split = chosen_split(source, len(val.categories))
    ordered = {head: found[head] for head in config.heads}
    cases = cases_of(val, ordered, context.seed, len(val))
    pairs = [
        pair
        for pair in pairs_of(cases, val, config.least_overlap)
        if {pair.first.category, pair.second.category} & set(split.b)
    ]
    labels = [val[index].label for index in range(len(val))]
    present = sum(int(c) in set(split.b) for label in labels for c in label.categories)
    return Outcome(
        metrics=object_metrics(of_categories(cases, split.b), pairs, config.heads, present),
        data={"val": val.fingerprint()},
        device=describe_device(device),
        examples=[{**one, "head": head} for head, own in ordered.items() for one in own],
    )


def draw(
    folder: Path,
    heads: Sequence[str],
    config: HeadObjectsConfig,
    context: Context,
    device: torch.device,
) -> dict[str, list[dict[str, Any]]]:
    """Head -> COCO results of the first scenes, by the weights of the run in `folder`."""
    from wsisbook.experiments.head_results import predict_heads
    from wsislib.engine.weights import load_weights

    source = source_config(folder)
    train, val = data_sets(source)
    model = trained_shape(source, train, read_json(folder / "params.json")["seed"])
    context.on_model(model)
    load_weights(folder / "checkpoints" / "final.safetensors", model)
    keep_heads(model, heads)
    first = FirstScenes(val, config.scenes)
    results = predict_heads(model, first, device=device, progress=context.progress)
    return {
        head: [one for one in results.of(head) if one["score"] >= config.min_score]
        for head in heads
    }


def source_config(folder: Path) -> MaskHeadsConfig:
    """The settings of the run of many heads in `folder`."""
    where = folder / "params.json"
    return config_from(MaskHeadsConfig, read_json(where)["settings"], str(where.name))


def trained_shape(source: MaskHeadsConfig, train: Dataset, seed: int) -> MaskHeads:
    """The model of that run, with weights still to come."""
    count = len(train.categories)
    splits = {name: spec.split_of(source, count) for name, spec in source.specs().items()}
    return build_heads(source, train, learnt_categories(source, splits), seed)


def keep_heads(model: MaskHeads, heads: Iterable[str]) -> None:
    """Leave only some heads in `model`, which then predicts with those alone.

    Raises:
        ValueError: there is no such head.
    """
    wanted = list(heads)
    missing = [name for name in wanted if name not in model.heads]
    if missing:
        raise ValueError(
            f"no mask heads {missing} in that run; it trained {', '.join(model.heads)}: name "
            "some of these"
        )
    for name in [name for name in model.heads if name not in wanted]:
        del model.heads[name]


def object_metrics(
    cases: Sequence[Case], pairs: Sequence[Pair], heads: Iterable[str], present: int
) -> dict[str, Any]:
    """Numbers of the objects of B that were found, in percent.

    Returns:
        `{head: {"B": {"IoU": mean overlap with the truth, "good": share of 0.75 or more},
        "pairs": {"alike": mean overlap of a head's two masks}}, "B": {"present", "found"},
        "pairs": {"count"}}`; a mean of nothing is left out.
    """
    metrics: dict[str, Any] = {
        "B": {"present": present, "found": len(cases)},
        "pairs": {"count": len(pairs)},
    }
    for head in heads:
        own: dict[str, Any] = {"B": {}, "pairs": {}}
        if cases:
            overlaps = [case.iou(head) for case in cases]
            own["B"]["IoU"] = 100 * sum(overlaps) / len(overlaps)
            own["B"]["good"] = 100 * sum(value >= 0.75 for value in overlaps) / len(overlaps)
        if pairs:
            own["pairs"]["alike"] = 100 * sum(pair.alike(head) for pair in pairs) / len(pairs)
        metrics[head] = own
    return metrics


def _folder(context: Context, label: str) -> Path:
    if label not in context.needs:
        raise ValueError(
            f"heads are said to come from {label!r}, which is not among this row's needs; declare "
            "the run that trained them under `needs`, and one of them as `heads`"
        )
    return context.needs[label]


def _parts(config: HeadObjectsConfig) -> tuple[str, ...]:
    return ("evaluation",)  # those of the trained heads come with what it needs


HEAD_OBJECTS = Experiment(HeadObjectsConfig, run_head_objects, _parts)
