"""How start weights for one's own photographs are made: masks of other people's photographs.

The same networks that `wsis train` builds learn the objects of sam-photos; all but their class head
is kept. So what starts from them has seen masks: no weakly supervised row of the study may.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from wsisbook.recipes.package_weights import training_curve
from wsislib.atomic import read_json
from wsislib.data.photographs.coco import CocoDataset
from wsislib.data.sample import Dataset, Sample
from wsislib.data.transforms import large_scale_jitter
from wsislib.engine.config import TrainConfig
from wsislib.engine.device import describe_device, pick_device
from wsislib.engine.evaluate import coco_ap, predict_all
from wsislib.engine.train import fit
from wsislib.engine.weights import write_tensors
from wsislib.models.assets import START_MASK2FORMER, START_MASK_RCNN
from wsislib.models.mask2former.builders import LOSS_WEIGHTS, mask2former_lite
from wsislib.models.maskrcnn.lite_builders import mask_rcnn_lite
from wsislib.photos.starts import CLASS_HEADS

MOST_BYTES = 12_000_000  # the package is downloaded by people who need no start weights
PHOTOGRAPHS = "sam-photos"  # the folder under the data folder


@dataclass(frozen=True, kw_only=True)
class StartRecipe:
    """Everything that decides the start weights but the photographs.

    Attributes:
        model: whose they are; "wish" starts its Mask2Former from them.
        steps, batch_size, learning_rate, weight_decay, warmup_steps, clip_norm: of the training;
            AdamW, cosine, bfloat16.
        backbone_factor: of the backbone's learning rate.
        side: longest side of training images, pixels.
        jitter: of their scale, from and to.
        seed: of weights, order and jitter.
    """

    model: Literal["wish", "mask-rcnn"]
    steps: int = 6_000
    batch_size: int = 8
    learning_rate: float = 3.5e-4
    weight_decay: float = 0.05
    warmup_steps: int = 200
    clip_norm: float = 1.0
    backbone_factor: float = 0.3
    side: int = 192
    jitter: tuple[float, float] = (0.6, 1.6)
    seed: int = 0

    @property
    def asset(self) -> str:
        """The name of the weights."""
        return START_MASK2FORMER if self.model == "wish" else START_MASK_RCNN

    @classmethod
    def smoke(cls, model: Literal["wish", "mask-rcnn"]) -> StartRecipe:
        """The same steps in seconds; the weights mean nothing."""
        return cls(model=model, steps=2, batch_size=2, warmup_steps=1, side=64)

    def train_config(self) -> TrainConfig:
        """The training loop's settings."""
        same = (
            "steps", "batch_size", "learning_rate", "weight_decay", "warmup_steps", "clip_norm",
            "seed",
        )  # fmt: skip
        wish = self.model == "wish"
        return TrainConfig(
            **{name: getattr(self, name) for name in same},
            optimiser="adamw",
            warmup_factor=0.01,
            schedule="cosine",
            checkpoint_every=100,
            log_every=50,
            loss_weights=LOSS_WEIGHTS if wish else {},
            lr_factors={"backbone." if wish else "backbone.body.": self.backbone_factor},
        )

    def build(self, categories: int, fetch: bool = True) -> nn.Module:
        """The network, as `wsis train` builds it at its usual size.

        So a Mask R-CNN has the anchors that it will have there, though photographs are smaller here
        than they may be there. In training they come from the jitter as they are.
        """
        if self.model == "wish":
            return mask2former_lite(categories, self.seed, fetch=fetch)
        return mask_rcnn_lite(categories, seed=self.seed, fetch=fetch, jittered=True)


def train_start(
    recipe: StartRecipe, photographs: Path, folder: Path, device: str = "auto",
    progress: bool = True, fetch: bool = True,
) -> Path:  # fmt: skip
    """Train, evaluate and write start weights; returns their path.

    Stopped at any moment, it resumes from the checkpoints in `folder`.

    Args:
        recipe: see there.
        photographs: folder of sam-photos.
        folder: for checkpoints and weights.
        device: auto, cpu, cuda or mps.
        progress: show a progress bar.
        fetch: start the backbone from ImageNet; False is for trials.

    Raises:
        ValueError: the photographs are missing or none is marked exhaustive.
    """
    chosen = pick_device(device)
    train, val = (exhaustive_photographs(photographs, part) for part in ("train", "val"))
    model = recipe.build(len(train.categories), fetch)

    def jitter(sample: Sample, generator: torch.Generator) -> Sample:
        return large_scale_jitter(sample, recipe.side, *recipe.jitter, generator)

    fitted = fit(
        model, train, recipe.train_config(), folder,
        device=chosen, augment=jitter, progress=progress,
    )  # fmt: skip
    facts = {
        "recipe": asdict(recipe),
        "backbone_start": "imagenet" if fetch else "random",
        "data": _facts_of_data(photographs, train),
        "has_seen": "masks of other people's photographs, and the names of their categories",
        "may_start": ["own photographs"],
        "not_for": [
            "weakly supervised rows of the study",
            "scores on COCO val2017, of which some photographs were trained on",
        ],
        **training_curve(fitted),
        "quality": {"held_out_photographs": len(val), **_quality(model, val, chosen)},
        "trained_on": describe_device(chosen),
    }
    return write_start(folder, recipe.asset, model, facts)


def exhaustive_photographs(folder: Path, part: str) -> CocoDataset:
    """The photographs of `folder`/`part`.json in which every object is annotated.

    In the others an unmarked object would be learnt as background.

    Raises:
        ValueError: the file is missing, or marks no photograph as exhaustive.
    """
    path = folder / f"{part}.json"
    if not path.is_file():
        raise ValueError(
            f"{path}: not there; start weights are trained on {PHOTOGRAPHS}, a COCO-format folder "
            "with train.json, val.json and images. Put it into the data folder, or name the data "
            "folder in WSIS_DATA"
        )
    records = read_json(path).get("images", [])
    chosen = [record["id"] for record in records if record.get("exhaustive") is True]
    if not chosen:
        raise ValueError(
            f"{path}: no image has `exhaustive: true`; mark those in which every object is "
            "annotated, as the others would teach that objects are background"
        )
    return CocoDataset(path, folder / "images", image_ids=chosen)


def write_start(folder: Path, name: str, model: nn.Module, facts: Mapping[str, Any]) -> Path:
    """Write a model without its class head, in float16, and a manifest that holds `facts`.

    Raises:
        ValueError: it is larger than the package may carry.
    """
    heads = CLASS_HEADS["wish" if name == START_MASK2FORMER else "mask-rcnn"]
    tensors = {
        key: value.half() if value.is_floating_point() else value
        for key, value in model.state_dict().items()
        if not key.startswith(heads)
    }
    size = sum(t.numel() * t.element_size() for t in tensors.values())
    if size > MOST_BYTES:
        raise ValueError(f"{name}: {size:,} bytes of weights, and {MOST_BYTES:,} are allowed")
    path = folder / f"{name}.safetensors"
    count = sum(t.numel() for t in tensors.values())
    write_tensors(path, tensors, {"name": name, "parameters": count, "dtype": "float16", **facts})
    return path


def _facts_of_data(folder: Path, train: CocoDataset) -> dict[str, Any]:
    """Which photographs were trained on, and how many of each of their sources."""
    used = set(train.image_ids)
    records = [r for r in read_json(train.annotation_file)["images"] if r["id"] in used]
    return {
        "name": folder.name,
        "images": len(train),
        "which": "exhaustive: every object is annotated",
        "subsets": dict(Counter(str(r.get("subset", "unknown")) for r in records)),
        "categories": len(train.categories),
        "sha256": train.fingerprint(),
    }


def _quality(model: nn.Module, val: Dataset, device: torch.device) -> dict[str, float]:
    """AP of masks and boxes on held-out photographs, their categories included, 0..100."""
    results = predict_all(model, val, device=device)
    truth = val.ground_truth()
    return {
        f"{kind}_{name}": round(coco_ap(truth, results, iou_type=kind).numbers()[name], 2)
        for kind in ("segm", "bbox")
        for name in ("AP", "AP50")
    }
