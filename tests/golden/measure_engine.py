"""Training and evaluation of a toy model, and an experiment from data to AP."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tests.golden.fixed_scenes import SIDE, Scenes
from tests.golden.golden_numbers import Numbers, exact
from wsislib.data.sample import Detections, Sample


class Toy(nn.Module):
    """One linear map from mean colours to a brightness; sees flips through a column mean."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 1)
        with torch.no_grad():
            self.layer.weight.copy_(torch.tensor([[0.1, -0.2, 0.3, 0.4]]))
            self.layer.bias.fill_(0.5)

    def losses(self, batch: Sequence[Sample]) -> dict[str, Tensor]:
        """Squared distance to the number of entries; a second loss that weights may change."""
        rows = [torch.cat([s.image.mean((1, 2)), s.image[0, :, :4].mean()[None]]) for s in batch]
        answers = self.layer(torch.stack(rows))[:, 0]
        wanted = torch.tensor([float(s.label.boxes.sum()) / 100 for s in batch])
        return {
            "loss_a": ((answers - wanted) ** 2).mean(),
            "loss_b": answers.abs().mean() + torch.rand(()) * 0.1 * answers.mean(),
        }

    def predict(self, images: Sequence[Tensor]) -> list[Detections]:
        """One box in the middle of every image."""
        mask = torch.zeros(1, SIDE, SIDE, dtype=torch.bool)
        mask[:, 30:60, 20:70] = True
        box, score = torch.tensor([[20.0, 30, 70, 60]]), torch.tensor([0.5])
        return [Detections(box, score, torch.tensor([1]), mask) for _ in images]


ENGINE_CONFIGS: dict[str, dict] = {
    "sgd": {"momentum": 0.9, "decay_steps": (3,), "weight_decay": 0.1, "bias_lr_factor": 2.0},
    "adamw": {"optimiser": "adamw", "learning_rate": 0.05, "schedule": "cosine"},
    "clipped": {"clip_norm": 0.1, "warmup_steps": 4, "loss_weights": {"loss_b": 0.25}, "seed": 3},
    "bf16": {"precision": "bf16", "flip": False, "batch_size": 3},
}


def engine() -> Numbers:
    """Weights of a toy after five steps: optimisers, schedules, order, flips, clipping."""
    from wsislib.engine.config import TrainConfig
    from wsislib.engine.train import fit

    numbers: Numbers = {}
    for name, options in ENGINE_CONFIGS.items():
        settings = {"steps": 5, "batch_size": 2, "precision": "float32", **options}
        model = Toy()
        with tempfile.TemporaryDirectory() as folder:
            fit(
                model, Scenes(), TrainConfig.from_dict(settings), Path(folder),
                device="cpu", progress=False,
            )  # fmt: skip
        for k, weight in enumerate(model.layer.weight[0].tolist()):
            numbers[f"{name}.weight {k}"] = weight
        numbers[f"{name}.bias"] = float(model.layer.bias.detach())
    return numbers


def evaluation() -> Numbers:
    """AP of fixed results against a fixed truth, and the form of exported predictions."""
    from wsislib.engine.evaluate import coco_ap, predict_all

    truth, results = _truth_and_results()
    numbers: Numbers = {}
    for kind in ("segm", "bbox"):
        for name, members in (("all", None), ("first two", [0, 1])):
            result = coco_ap(truth, results, categories=members, iou_type=kind)
            for metric in ("AP", "AP50", "AP75", "APS", "APM", "APL", "AR1", "AR10", "AR100"):
                numbers[f"{kind}.{name}.{metric}"] = float(getattr(result, metric))
    exported = predict_all(Toy(), Scenes(), device="cpu", progress=False)
    numbers["exported"] = exact([{**result, "score": 0} for result in exported])
    return numbers


def _truth_and_results() -> tuple[dict, list[dict]]:
    """Twelve images with boxes of three categories; results are the truth, moved and scored."""
    from wsislib.data.rle import encode_mask

    draw = np.random.default_rng(11)
    annotations, results = [], []
    for image in range(1, 13):
        for _ in range(4):
            x, y = draw.integers(3, 40, 2).tolist()
            w, h = draw.integers(8, 116, 2).tolist()
            category = int(draw.integers(0, 3)) * 2 + 1
            mask = np.zeros((160, 160), dtype=bool)
            mask[y : y + h, x : x + w] = True
            entry = {"image_id": image, "category_id": category}
            annotations.append(
                {
                    **entry, "id": len(annotations) + 1, "iscrowd": 0, "area": float(w * h),
                    "bbox": [x, y, w, h], "segmentation": encode_mask(mask),
                }
            )  # fmt: skip
            dx, dy = draw.integers(-3, 4, 2).tolist()
            moved = np.roll(mask, (dy, dx), (0, 1))
            results.append(
                {
                    **entry, "score": float(draw.random()), "bbox": [x + dx, y + dy, w, h],
                    "segmentation": encode_mask(moved),
                }
            )  # fmt: skip
    images = [{"id": i, "height": 160, "width": 160, "file_name": ""} for i in range(1, 13)]
    categories = [{"id": i, "name": str(i)} for i in (1, 3, 5)]
    return {"images": images, "annotations": annotations, "categories": categories}, results


def pipeline() -> Numbers:
    """The experiment `mask_rcnn` from data to AP in two steps: how the parts are joined."""
    from wsisbook.experiments.mask_rcnn import run_mask_rcnn
    from wsisbook.experiments.settings import MaskRcnnConfig
    from wsisbook.runs.experiments import Context

    numbers: Numbers = {}
    for masks in ("A", "all"):
        config = MaskRcnnConfig(
            steps=2, batch_size=4, log_every=1, precision="float32", categories=6, a_count=3,
            train_count=8, val_count=2, masks=masks, learning_rate=0.001,
        )  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            outcome = run_mask_rcnn(Context(config, 1, Path(folder), "cpu", {}, False))
            history = (Path(folder) / "history.csv").read_text(encoding="utf-8").splitlines()
        names = history[0].split(",")
        for row in history[1:]:
            for name, value in zip(names, row.split(","), strict=True):
                if "loss" in name:
                    numbers[f"{masks}.step {row.split(',')[0]}.{name}"] = float(value)
        numbers[f"{masks}.split"] = exact(outcome.notes["split"])
        numbers[f"{masks}.metrics"] = exact(sorted(outcome.metrics["segm"]))
    return numbers
