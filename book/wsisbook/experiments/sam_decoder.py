"""Experiment `sam_decoder`: what predicts the masks of a trained WISH, and what that costs.

Kweon and Yoon, WISH (2025), figure 3, compare (a) WISH's mask head with (b) SAM's frozen mask
decoder driven by the prompt head at inference. Beyond the paper: (c) the same decoder tuned to the
prompt head, (d) SAM prompted with the boxes around WISH's masks, and as upper bounds SAM prompted
with true boxes or points.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from wsisbook.experiments import training
from wsisbook.experiments.partial_data import data_sets
from wsisbook.experiments.wish import build_wish_model, jitter, taught_data, teacher_of, weak_data
from wsisbook.experiments.wish_settings import SamDecoderConfig
from wsisbook.runs.experiments import Context, Outcome
from wsislib.data.sample import Dataset, Detections, LabelKind, Sample
from wsislib.data.transforms import tight_boxes
from wsislib.engine.device import describe_device, pick_device
from wsislib.engine.memory import peak_memory_mib
from wsislib.engine.predict import Result, as_results
from wsislib.engine.weights import load_weights
from wsislib.labels.datasets import WeakDataset
from wsislib.models.sam.prompts import prompts_of
from wsislib.models.sam.sam import Teacher
from wsislib.models.wish.sam_decoder import DecoderTuning, SamDecoderInference, best_by_iou
from wsislib.models.wish.wish import WISH

TIMED = 50  # images

# Settings that the trained WISH must have in common with a run that uses it.
_SAME = (
    "data", "categories", "world_seed", "builder", "pretrained", "teacher", "prompt_tokens",
    "prompt_sees", "method",
)  # fmt: skip

Predict = Callable[[Sequence[Tensor]], Any]


def run_sam_decoder(context: Context) -> Outcome:
    """Judge one variant on the validation images.

    Beside the usual metrics there is `inference`: `ms` and `memory_mib` of an image, `ratio`, the
    time by that of WISH's own mask head on the same image, `weights_mib` of what is needed.
    """
    config: SamDecoderConfig = context.config
    device = pick_device(context.device)
    train_data, val = data_sets(config)
    teacher = teacher_of(config, context.needs)
    assert teacher is not None
    costs: dict[str, Any] = {}
    files: dict[str, Path] = {}
    if config.variant in ("true-boxes", "true-points"):
        kind = LabelKind.BOX if config.variant == "true-boxes" else LabelKind.POINT
        results = _with_true_prompts(teacher.to(device), val, kind)
    else:
        wish = trained_wish(context, len(train_data.categories), teacher)
        predictor = _variant(context, wish, teacher, train_data)
        if config.variant == "tuned":
            files["history.csv"] = context.folder / "history.csv"
        results = training.predict_set(context, predictor, val)
        costs["inference"] = _costs(predictor, wish, val, device)
    sides = training.frequent_side(config, val)
    metrics = training.average_precisions(val.ground_truth(), results, sides)
    fingerprints = {"train": train_data.fingerprint(), "val": val.fingerprint()}
    return Outcome(
        metrics={**metrics, **costs},
        data={**fingerprints, "teacher": teacher.fingerprint},
        device=describe_device(device),
        examples=training.examples_of(results, val.image_ids),
        files=files,
        notes={"teacher": teacher.name},
    )


def trained_wish(context: Context, category_count: int, teacher: Teacher) -> WISH:
    """The WISH that the row needs, with its weights."""
    folder = training.needed_run(context, "wish", _SAME)
    model = build_wish_model(context.config, category_count, teacher, context.seed, fetch=False)
    context.on_model(model)
    load_weights(training.final_weights(folder), model)
    return cast(WISH, model)


def _variant(
    context: Context, wish: WISH, teacher: Teacher, train_data: Dataset
) -> WISH | SamDecoderInference:
    """The model that predicts; tuning is done here."""
    config: SamDecoderConfig = context.config
    if config.variant == "mask-head":
        return wish
    if config.variant != "tuned":
        boxes = config.variant == "boxes"
        return SamDecoderInference(wish, teacher, "boxes" if boxes else "embedding")
    device = pick_device(context.device)
    tuning = DecoderTuning(wish.to(device), teacher.to(device))
    labelled = taught_data(weak_data(config, train_data, context.seed), teacher, context.progress)
    training.train_model(context, tuning, labelled, {}, augment=jitter(config))
    return SamDecoderInference(wish, teacher, "embedding", tuning.decoder)


def _with_true_prompts(teacher: Teacher, val: Dataset, kind: LabelKind) -> list[Result]:
    """SAM's mask of the highest predicted IoU for the true box, or a point, of every instance."""
    prompted = WeakDataset(val, [kind] * len(val), 0)
    results: list[Result] = []
    with torch.inference_mode():
        for index in range(len(prompted)):
            sample = prompted[index].to(teacher.device)
            results += as_results(_segment(teacher, sample), sample.image_id, val.categories)
    return results


def _segment(teacher: Teacher, sample: Sample) -> Detections:
    (candidates,) = teacher.candidates([sample.image], [prompts_of(sample.label)])
    masks = best_by_iou(candidates) > 0
    filled = masks.flatten(1).any(1)
    scores = candidates.scores.amax(1).clamp(0, 1)
    masks, scores, categories = masks[filled], scores[filled], sample.label.categories[filled]
    order = scores.argsort(descending=True, stable=True)
    return Detections(tight_boxes(masks)[order], scores[order], categories[order], masks[order])


def _costs(
    predictor: WISH | SamDecoderInference, wish: WISH, val: Dataset, device: torch.device
) -> dict[str, float | None]:
    """Time and memory beside the mask head's."""
    images = [val[index].image for index in range(min(TIMED, len(val)))]
    cost = inference_cost(predictor.eval().predict, wish.predict, images, device)
    needed: list[nn.Module] = [wish.segmenter]
    if isinstance(predictor, SamDecoderInference):
        needed += [predictor.teacher.sam]
        needed += [wish.prompt_head] if predictor.prompted == "embedding" else []
    count = sum(p.numel() * p.element_size() for one in needed for p in one.parameters())
    return {**cost, "weights_mib": count / 2**20}


def inference_cost(
    predict: Predict, peer: Predict, images: Sequence[Tensor], device: torch.device
) -> dict[str, float | None]:
    """Time `predict` and `peer` on each image in turn, after one image of warm-up.

    Returns:
        Medians over images of `ms` and of its `ratio` to the peer's time on the same image;
        `memory_mib`, the peak of one prediction, None where unknown.
    """
    pairs = []
    for image in [images[0], *images]:
        one = image.to(device)
        pairs.append((_seconds(predict, one, device), _seconds(peer, one, device)))
    times, peer_times = zip(*pairs[1:], strict=True)
    forget_peak(device)
    predict([images[0].to(device)])
    return {
        "ms": 1000 * statistics.median(times),
        "ratio": statistics.median(a / b for a, b in zip(times, peer_times, strict=True)),
        "memory_mib": peak_memory_mib(device),
    }


def forget_peak(device: torch.device) -> None:
    """Have the peak memory counted from here, where the system can."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _seconds(predict: Predict, image: Tensor, device: torch.device) -> float:
    start = time.perf_counter()
    predict([image])
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start
