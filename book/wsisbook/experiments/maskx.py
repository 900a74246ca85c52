"""Experiment `maskx`: Mask^X R-CNN trained end to end.

Hu et al., Learning to Segment Every Thing, section 4.3 and table 2. Rows that train a mask head
over a frozen detector belong to `mask_heads`, baselines without transfer to `mask_rcnn`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from wsisbook.experiments.embedding import EmbeddingConfig, embedding_files, embedding_of
from wsisbook.experiments.frozen_detector import load_detector
from wsisbook.experiments.mask_rcnn import train_and_judge
from wsisbook.experiments.partial_data import chosen_split, data_files, data_sets
from wsisbook.runs.experiments import Context, Experiment, Outcome
from wsislib.atomic import atomic_write

if TYPE_CHECKING:
    from torch import Tensor

    from wsislib.data.sample import Dataset
    from wsislib.models.maskrcnn.mask_rcnn import MaskRCNN

DETECTION_WEIGHTS = "detection_weights.safetensors"


@dataclass(frozen=True)
class MaskXConfig(EmbeddingConfig):
    """Settings of a Mask^X R-CNN run, beside those of its data.

    Attributes:
        masks: whose masks are trained on: of "A" or of "all" categories.
        builder: which builder of wsislib.models; `pretrained` is for the large ones.
        inputs, layers, activation: of weight transfer.
        mlp_layers: of the MLP branch; 0 leaves it out.
        stop_gradient: keep the mask loss from the detection weights.
        warm_start: begin with the weights of the run that it `needs` as `detector`.
    """

    masks: Literal["A", "all"] = "A"
    builder: Literal["maskx_rcnn_lab", "maskx_rcnn_r50_fpn", "maskx_rcnn_r101_fpn"] = (
        "maskx_rcnn_lab"
    )
    pretrained: bool = True
    inputs: Literal["cls", "box", "cls+box", "random", "embedding"] = "cls+box"
    layers: int = 2
    activation: Literal["leaky-relu", "relu", "none"] = "leaky-relu"
    mlp_layers: int = 1
    stop_gradient: bool = True
    warm_start: bool = False

    def __post_init__(self) -> None:
        for name, least in (("layers", 1), ("mlp_layers", 0)):
            if not least <= getattr(self, name) <= 3:
                raise ValueError(f"{name} is {getattr(self, name)}; use {least} to 3")


def run_maskx(context: Context) -> Outcome:
    """Train and judge one Mask^X R-CNN; AP of masks and boxes on A, on B and on all.

    Its detection weights are published beside the numbers (`published_rows`): they show what the
    gradient stop protects.
    """
    from safetensors.torch import save

    from wsislib.labels.datasets import PartialDataset

    config: MaskXConfig = context.config
    train, val = data_sets(config)
    count = len(train.categories)
    split = chosen_split(config, count)
    members = split.a if config.masks == "A" else tuple(range(count))
    model = build_maskx(config, train, context.seed)
    context.on_model(model)
    start = None
    if config.warm_start:
        load_detector(model, context, freeze=False)
        start = detection_rows(model.state_dict())
    outcome = train_and_judge(context, model, PartialDataset(train, members), val, split)
    file = context.folder / DETECTION_WEIGHTS
    atomic_write(file, save(published_rows(detection_rows(model.state_dict()), start)))
    return replace(outcome, files={**outcome.files, DETECTION_WEIGHTS: file})


def detection_rows(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A detector's weights category by category, float32 on the CPU.

    Args:
        state: as `state_dict` gives it; D features before the box predictor.

    Returns:
        `cls` (C + 1, D) and `box` (C + 1, 4 D), background first.
    """
    where = "roi.box_predictor"
    names = {"cls": f"{where}.cls_score.weight", "box": f"{where}.bbox_pred.weight"}
    rows = len(state[names["cls"]])
    return {
        name: state[key].detach().float().cpu().clone().reshape(rows, -1)
        for name, key in names.items()
    }


def published_rows(
    end: Mapping[str, Tensor], start: Mapping[str, Tensor] | None
) -> dict[str, Tensor]:
    """`cls` that a run ends with and, where it began with a detector, how far each row moved.

    Args:
        end: as `detection_rows` gives them.
        start: likewise, or None.

    Returns:
        float16 `cls`; with `start` also `cls_moved` and `box_moved`, end less start.
    """
    rows = {"cls": end["cls"]}
    if start is not None:
        rows |= {f"{name}_moved": end[name] - start[name] for name in ("cls", "box")}
    return {name: values.half().contiguous() for name, values in rows.items()}


def build_maskx(config: MaskXConfig, train: Dataset, seed: int) -> MaskRCNN:
    """The model that the settings name, with initial weights from the run's seed."""
    from wsislib.models.maskrcnn import builders

    large = {} if config.builder == "maskx_rcnn_lab" else {"pretrained": config.pretrained}
    return getattr(builders, config.builder)(
        len(train.categories),
        config.inputs,
        config.layers,
        config.activation,
        config.mlp_layers,
        config.stop_gradient,
        embedding_of(config, train) if config.inputs == "embedding" else None,
        seed,
        **large,
    )


def _parts(config: MaskXConfig) -> tuple[str, ...]:
    return (config.data, "labels", "mask_rcnn", "transfer", "engine", "evaluation")


def _files(config: MaskXConfig) -> tuple[str, ...]:
    return (*data_files(config), *embedding_files(config))


MASKX = Experiment(MaskXConfig, run_maskx, _parts, _files)
