"""Experiment `sam_decoder`: who draws the masks of a trained WISH, and what that costs.

Kweon and Yoon, WISH (2025), figure 3, compare (a) WISH's mask head with (b) SAM's frozen mask
decoder driven by the prompt head at inference. Beyond the paper: (c) the same decoder tuned to the
prompt head, (d) SAM prompted with the boxes around WISH's masks, and as upper lines SAM prompted
with true boxes or points.

What inference costs: time and memory an image, beside a peer that is timed in between.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from wsisbook.experiments.mask_rcnn import average_precisions, examples_of, train_config
from wsisbook.experiments.partial_data import data_sets
from wsisbook.experiments.weak_labels import weak_data
from wsisbook.experiments.wish import WISH_EXPERIMENT, taught_data, teacher_of
from wsisbook.experiments.wish_settings import WishConfig, build_model, jitter
from wsisbook.runs.environment import peak_memory_mib
from wsisbook.runs.experiments import Context, Experiment, Outcome
from wsislib.atomic import read_json

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from wsislib.data.sample import Dataset, Sample
    from wsislib.engine.predict import Result
    from wsislib.models.sam.sam import Teacher
    from wsislib.models.wish.wish import WISH


Variant = Literal["mask-head", "embedding", "tuned", "boxes", "true-boxes", "true-points"]
TRUE = ("true-boxes", "true-points")
TIMED = 50  # images

# Settings that the trained WISH must have in common with a run that looks at it.
_SAME = (
    "data", "categories", "world_seed", "builder", "pretrained", "teacher", "prompt_tokens",
    "prompt_sees", "method",
)  # fmt: skip


@dataclass(frozen=True)
class SamDecoderConfig(WishConfig):
    """Settings of one variant, beside those that its WISH was trained with.

    `steps` and the optimiser are those of tuning the decoder; the others train nothing.

    Attributes:
        variant: who draws the masks; "mask-head" is WISH as it is, "embedding" SAM's decoder on
            what the prompt head says, "tuned" the same after tuning, "boxes" SAM on the boxes
            around WISH's masks, "true-boxes" and "true-points" SAM on the truth.
    """

    variant: Variant = "mask-head"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.method != "wish":
            raise ValueError(f"a decoder draws for method 'wish', not {self.method!r}")
        if (self.variant == "tuned") != (self.steps > 0):
            raise ValueError(
                f"variant {self.variant!r} with {self.steps} steps: 'tuned' wants some, the others "
                "train nothing and want 0"
            )


def run_sam_decoder(context: Context) -> Outcome:
    """Judge one variant on the validation images.

    Beside the usual metrics there is `inference`: `ms` and `memory_mib` of an image, `ratio`, the
    time by that of WISH's own mask head on the same image, `weights_mib` of what is needed.
    """
    from wsislib.engine.device import describe_device, pick_device

    config: SamDecoderConfig = context.config
    device = pick_device(context.device)
    train, val = data_sets(config)
    teacher = teacher_of(config, context.needs)
    assert teacher is not None
    results: list[Result]
    metrics: dict[str, Any] = {}
    files: dict[str, Path] = {}
    if config.variant in TRUE:
        results = _truly_prompted(teacher.to(device), val, config.variant)
    else:
        model = trained_wish(context, len(train.categories), teacher)
        drawing = _variant(context, model, teacher, train, files)
        results = _predicted(drawing, val, device, context.progress)
        metrics["inference"] = _costs(drawing, model, val, device)
    return Outcome(
        metrics={**average_precisions(val.ground_truth(), results, {}), **metrics},
        data={
            "train": train.fingerprint(),
            "val": val.fingerprint(),
            "teacher": teacher.fingerprint,
        },
        device=describe_device(device),
        examples=examples_of(results, val.image_ids),
        files=files,
        notes={"teacher": teacher.name},
    )


def trained_wish(context: Context, category_count: int, teacher: Teacher) -> WISH:
    """The WISH that the row needs, with its weights.

    Raises:
        ValueError: the row declares no `wish` among its needs, or one that was trained with other
            categories, another builder, teacher or kind of tokens.
    """
    from wsislib.engine.weights import load_weights

    if "wish" not in context.needs:
        raise ValueError(
            "this run looks at a trained WISH; declare the run that trains it as `wish` under "
            "`needs`"
        )
    folder, config = context.needs["wish"], context.config
    theirs = read_json(folder / "params.json")["settings"]
    defaults = {field.name: field.default for field in fields(config)}
    for name in _SAME:
        own, other = getattr(config, name), theirs.get(name, defaults[name])
        if other != own:
            raise ValueError(
                f"the WISH of {folder} was trained with {name} = {other!r}, but this run has "
                f"{own!r}; give both rows the same, or name another row under `needs`"
            )
    model = build_model(config, category_count, teacher, context.seed, fetch=False)
    context.on_model(model)
    load_weights(folder / "checkpoints" / "final.safetensors", model)
    return model  # type: ignore[return-value]


def _variant(
    context: Context, model: WISH, teacher: Teacher, train: Dataset, files: dict[str, Path]
) -> nn.Module:
    """What predicts; tuning is done here, and leaves its history in `files`."""
    from wsislib.models.wish.sam_decoder_inference import SamDecoderInference

    config: SamDecoderConfig = context.config
    if config.variant == "mask-head":
        return model
    if config.variant != "tuned":
        return SamDecoderInference(
            model, teacher, "boxes" if config.variant == "boxes" else "embedding"
        )
    from wsislib.engine.device import pick_device
    from wsislib.engine.train import fit
    from wsislib.models.wish.decoder_tuning import DecoderTuning

    device = pick_device(context.device)
    tuning = DecoderTuning(model.to(device), teacher.to(device))
    labelled = taught_data(weak_data(config, train, context.seed), teacher, context.progress)
    settings = replace(train_config(config, context.seed), loss_weights={})
    fit(
        tuning,
        labelled,
        settings,
        context.folder,
        device=device,
        augment=jitter(config),
        progress=context.progress,
    )
    files["history.csv"] = context.folder / "history.csv"
    return SamDecoderInference(model, teacher, "embedding", tuning.decoder)


def _predicted(
    drawing: nn.Module, val: Dataset, device: torch.device, progress: bool
) -> list[Result]:
    from wsislib.engine.predict import predict_all

    return predict_all(drawing, val, device=device, progress=progress)


def _costs(
    drawing: nn.Module, model: WISH, val: Dataset, device: torch.device
) -> dict[str, float | None]:
    """Time and memory beside the mask head's."""
    from wsislib.models.wish.sam_decoder_inference import SamDecoderInference

    images = [val[index].image for index in range(min(TIMED, len(val)))]
    predict: Callable[[Sequence[Any]], Any] = drawing.eval().predict  # type: ignore[assignment]
    cost = inference_cost(predict, model.predict, images, device)
    needed: list[nn.Module] = [model.segmenter]
    if isinstance(drawing, SamDecoderInference):
        needed += [drawing.teacher.sam]
        needed += [model.prompt_head] if drawing.prompted == "embedding" else []
    count = sum(p.numel() * p.element_size() for one in needed for p in one.parameters())
    return {
        "ms": cost.milliseconds,
        "ratio": cost.ratio,
        "memory_mib": cost.memory_mib,
        "weights_mib": count / 2**20,
    }


def _truly_prompted(teacher: Teacher, val: Dataset, variant: Variant) -> list[Result]:
    """SAM's most trusted mask for the true box, or a point, of every instance."""
    import torch

    from wsislib.data.sample import LabelKind
    from wsislib.engine.predict import as_results
    from wsislib.labels.datasets import WeakDataset

    kind = LabelKind.BOX if variant == "true-boxes" else LabelKind.POINT
    prompted = WeakDataset(val, [kind] * len(val), 0)
    results: list[Result] = []
    with torch.inference_mode():
        for index in range(len(prompted)):
            sample = prompted[index].to(teacher.device)
            results += as_results(_drawn(teacher, sample), sample.image_id, val.categories)
    return results


def _drawn(teacher: Teacher, sample: Sample) -> Any:
    from wsislib.data.sample import Detections
    from wsislib.data.transforms import tight_boxes
    from wsislib.models.sam.prompts import prompts_of
    from wsislib.models.wish.sam_decoder_inference import best_by_iou

    (drawn,) = teacher.candidates([sample.image], [prompts_of(sample.label)])
    masks = best_by_iou(drawn) > 0
    filled = masks.flatten(1).any(1)
    scores = drawn.scores.amax(1).clamp(0, 1)
    masks, scores, categories = masks[filled], scores[filled], sample.label.categories[filled]
    order = scores.argsort(descending=True, stable=True)
    return Detections(tight_boxes(masks)[order], scores[order], categories[order], masks[order])


Predict = Callable[[Sequence["Tensor"]], Any]


@dataclass(frozen=True)
class InferenceCost:
    """Costs of one image at a time.

    Attributes:
        milliseconds: median over images.
        ratio: median over images of its time by the peer's on the same image.
        memory_mib: most that the process (on a GPU: the GPU) held meanwhile; None where unknown.
    """

    milliseconds: float
    ratio: float
    memory_mib: float | None


def inference_cost(
    predict: Predict, peer: Predict, images: Sequence[Tensor], device: torch.device
) -> InferenceCost:
    """Time `predict` and `peer` on each image in turn, after one image of warm-up."""
    pairs = []
    for image in [images[0], *images]:
        one = image.to(device)
        pairs.append((_seconds(predict, one, device), _seconds(peer, one, device)))
    own, other = zip(*pairs[1:], strict=True)
    forget_peak(device)
    predict([images[0].to(device)])
    return InferenceCost(
        1000 * statistics.median(own),
        statistics.median(a / b for a, b in zip(own, other, strict=True)),
        peak_of(device),
    )


def forget_peak(device: torch.device) -> None:
    """Have the peak memory counted from here, where the system can."""
    import torch

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_of(device: torch.device) -> float | None:
    """MiB that the process, or the GPU, held at most."""
    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return peak_memory_mib()


def _seconds(predict: Predict, image: Tensor, device: torch.device) -> float:
    import torch

    start = time.perf_counter()
    predict([image])
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


SAM_DECODER = Experiment(
    SamDecoderConfig, run_sam_decoder, WISH_EXPERIMENT.parts, WISH_EXPERIMENT.files
)
