"""Experiment `head_objects`: trained heads object by object, for the gallery.

A run of many heads keeps the masks of a few scenes only. This one takes the weights of such runs
and lets some of their heads draw into the boxes of many more scenes, without any training. It
keeps what they drew, and how well it fits the objects of B and tells two objects in one box
apart.

Single objects that a run found, with what several mask heads drew into the same box.

Heads over one frozen detector find the same boxes, so object by object their masks can be
compared. Pictures are chosen from these by a rule, never by hand.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wsisbook.experiments.mask_heads import MaskHeadsConfig, build_heads, learnt_categories
from wsisbook.experiments.partial_data import chosen_split, data_sets
from wsisbook.runs.config import RunConfig, config_from
from wsisbook.runs.experiments import Context, Experiment, Outcome
from wsislib.atomic import read_json
from wsislib.data.rle import decode_segmentation
from wsislib.data.sample import Dataset, Sample

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
    from wsisbook.experiments.mask_heads import predict_heads
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


FOUND = 0.5  # a box counts as found from this overlap (IoU) with the true one on
Mask = NDArray[np.bool_]
Result = Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """One object that was found under its own name.

    Attributes:
        seed: of the run.
        image_id: of its scene.
        instance: its place in the scene's label.
        category: index.
        score: of the detection, 0..1.
        box: xyxy in pixels, as found.
        truth: (H, W), its true mask.
        masks: head -> (H, W), what the head drew.
    """

    seed: int
    image_id: int
    instance: int
    category: int
    score: float
    box: tuple[float, float, float, float]
    truth: Mask
    masks: Mapping[str, Mask]

    def iou(self, head: str) -> float:
        """Overlap of a head's mask with the true one, 0..1."""
        return overlap(self.masks[head], self.truth)

    def gain(self, before: str, after: str) -> float:
        """How much better one head's mask is than another's, in IoU, -1..1."""
        return self.iou(after) - self.iou(before)


@dataclass(frozen=True)
class Pair:
    """Two objects of one scene that lie in nearly the same box.

    Attributes:
        first, second: the two.
        boxes: overlap of their true boxes, 0..1.
    """

    first: Case
    second: Case
    boxes: float

    def alike(self, head: str) -> float:
        """Overlap of the two masks that a head drew, 0..1: 1 if it cannot tell them apart."""
        return overlap(self.first.masks[head], self.second.masks[head])


def overlap(first: Mask, second: Mask) -> float:
    """Intersection over union, 0..1; 0 where both are empty."""
    union = int((first | second).sum())
    return int((first & second).sum()) / union if union else 0.0


def cases_of(
    truth: Dataset, found: Mapping[str, Sequence[Result]], seed: int, scenes: int
) -> list[Case]:
    """Every object of the first scenes that was found.

    As in COCO's evaluation, detections take their objects in the order of their scores, each the
    nearest free one of its own category, if their boxes overlap by 0.5 or more.

    Args:
        truth: the validation data.
        found: head -> COCO results; all heads with the same detections in the same order.
        seed: of the run that they come from.
        scenes: how many of the first scenes the results are of.

    Raises:
        ValueError: the heads do not have the same detections.
    """
    heads = list(found)
    for head in heads[1:]:
        if [_place(r) for r in found[head]] != [_place(r) for r in found[heads[0]]]:
            raise ValueError(
                f"heads {heads[0]!r} and {head!r} have different detections; compare heads of one "
                "run only"
            )
    cases = []
    for index in range(min(scenes, len(truth))):
        rows = [
            number
            for number, result in enumerate(found[heads[0]] if heads else ())
            if result["image_id"] == truth.image_ids[index]
        ]
        if rows:
            own = {head: [found[head][number] for number in rows] for head in heads}
            cases += _in_scene(truth[index], [c.id for c in truth.categories], own, seed)
    return cases


def _in_scene(
    sample: Sample, ids: Sequence[int], found: Mapping[str, Sequence[Result]], seed: int
) -> list[Case]:
    label, (height, width) = sample.label, sample.image.shape[1:]
    boxes = label.boxes
    assert boxes is not None and label.masks is not None
    results = next(iter(found.values()))
    free = set(range(len(label)))
    cases = []
    for number in sorted(range(len(results)), key=lambda n: -results[n]["score"]):
        x, y, w, h = results[number]["bbox"]
        box = (x, y, x + w, y + h)
        category = ids.index(results[number]["category_id"])
        same = [i for i in sorted(free) if int(label.categories[i]) == category]
        near = max(same, key=lambda i: box_iou(box, boxes[i].tolist()), default=None)
        if near is None or box_iou(box, boxes[near].tolist()) < FOUND:
            continue
        free.remove(near)
        masks = {
            head: decode_segmentation(own[number]["segmentation"], height, width)
            for head, own in found.items()
        }
        score = float(results[number]["score"])
        true = label.masks[near].numpy()
        cases.append(Case(seed, sample.image_id, near, category, score, box, true, masks))
    return cases


def box_iou(first: Sequence[float], second: Sequence[float]) -> float:
    """Intersection over union of two boxes xyxy."""
    low = np.maximum(first[:2], second[:2])
    high = np.minimum(first[2:], second[2:])
    both = float(np.prod(np.clip(high - low, 0, None)))
    areas = [float((b[2] - b[0]) * (b[3] - b[1])) for b in (first, second)]
    union = sum(areas) - both
    return both / union if union > 0 else 0.0


def once_each(cases: Iterable[Case]) -> list[Case]:
    """Each object once, from the first seed that found it."""
    first: dict[tuple[int, int], Case] = {}
    for case in cases:
        first.setdefault((case.image_id, case.instance), case)
    return list(first.values())


def pairs_of(cases: Iterable[Case], truth: Dataset, least: float) -> list[Pair]:
    """Pairs of objects whose true boxes overlap by `least` or more, both found by one seed.

    The nearest pair first.
    """
    scenes: dict[tuple[int, int], list[Case]] = {}
    for case in cases:
        scenes.setdefault((case.seed, case.image_id), []).append(case)
    pairs = []
    for (_, image_id), own in scenes.items():
        boxes = truth[truth.image_ids.index(image_id)].label.boxes
        assert boxes is not None
        for first, second in itertools.combinations(own, 2):
            near = box_iou(boxes[first.instance].tolist(), boxes[second.instance].tolist())
            if near >= least:
                pairs.append(Pair(first, second, near))
    return sorted(pairs, key=lambda pair: -pair.boxes)


def of_categories(cases: Iterable[Case], members: Collection[int]) -> list[Case]:
    """The cases of some categories, such as those of B."""
    return [case for case in cases if case.category in members]


def case_frame(cases: Sequence[Case], heads: Sequence[str]) -> pd.DataFrame:
    """One line a case: seed, image, instance, category, score, and the IoU of each head."""
    lines = [
        {
            **{name: getattr(case, name) for name in ("seed", "image_id", "instance", "category")},
            "score": case.score,
            **{head: case.iou(head) for head in heads},
        }
        for case in cases
    ]
    columns = ["seed", "image_id", "instance", "category", "score", *heads]
    return pd.DataFrame(lines, columns=columns)


def _place(result: Result) -> tuple[Any, ...]:
    return result["image_id"], result["category_id"], tuple(result["bbox"]), result["score"]


def _parts(config: HeadObjectsConfig) -> tuple[str, ...]:
    return ("evaluation",)  # those of the trained heads come with what it needs


HEAD_OBJECTS = Experiment(HeadObjectsConfig, run_head_objects, _parts)
