"""Tiny runs of every part, and the numbers that they give.

Each function measures one part of `wsislib.study.parts` and uses no other part where it can, so
that a moved number points at the part that moved. Things that must be equal to the last digit
(names, ids) go in as digests.
"""

import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tests.golden.measure_genome import visual_genome
from tests.golden.measure_grabcut import grabcut
from tests.golden.measure_voc import voc
from tests.golden.measure_wish import wish
from wsislib.data.sample import Category, Detections, Label, LabelKind, Sample

Numbers = dict[str, float | str]
SIDE = 96


def exact(obj: object) -> str:
    """A digest, which must be equal to the last digit."""
    return hashlib.sha256(json.dumps(obj, sort_keys=True).encode()).hexdigest()[:16]


def world() -> Numbers:
    """What is drawn: categories, instances, areas, colours, of small, large and other worlds."""
    from wsislib.data.world import World, WorldDataset, WorldSpec

    numbers: Numbers = {}
    specs = {
        "study": WorldSpec(categories=80),
        "teacher": WorldSpec(categories=12, factor_set="teacher"),
        "large": WorldSpec(categories=3000, world_seed=5),
    }
    for name, spec in specs.items():
        data = WorldDataset(spec, seed=1, count=6)
        samples = [data[i] for i in range(len(data))]
        numbers[f"{name}.names"] = exact([category.name for category in World(spec).categories])
        numbers[f"{name}.labels"] = exact([s.label.categories.tolist() for s in samples])
        areas = [float(s.label.masks.sum()) for s in samples]
        numbers[f"{name}.mask pixels"] = float(np.mean(areas))
        pixels = torch.stack([s.image for s in samples])
        for channel, mean, spread in zip(
            "rgb", pixels.mean((0, 2, 3)), pixels.std((0, 2, 3)), strict=True
        ):
            numbers[f"{name}.{channel} mean"] = float(mean)
            numbers[f"{name}.{channel} std"] = float(spread)
    return numbers


def coco() -> Numbers:
    """What is read from a COCO file: boxes, masks from polygons and both run-length codes."""
    from PIL import Image
    from pycocotools import mask as mask_api

    from wsislib.data.coco import CocoDataset

    triangle = [2.5, 3.0, 30.0, 4.0, 10.0, 25.5]
    code = {"size": [32, 40], "counts": [40, 10, 22, 10, 1198]}
    packed = mask_api.encode(np.asfortranarray(np.tri(32, 40, dtype=np.uint8)))
    packed["counts"] = packed["counts"].decode("ascii")
    annotations = [
        {"segmentation": [triangle, [31.0, 20.0, 38.0, 20.0, 38.0, 30.0, 31.0, 30.0]]},
        {"segmentation": code},
        {"segmentation": packed, "category_id": 9},
        {"segmentation": code, "iscrowd": 1},
    ]
    for number, annotation in enumerate(annotations, start=1):
        annotation.update(id=number, image_id=5)
        annotation.setdefault("category_id", 2)
        annotation.setdefault("iscrowd", 0)
        annotation["bbox"] = [1.0, 2.0, 35.0, 28.0]
        annotation["area"] = 100.0
    document = {
        "images": [{"id": 5, "file_name": "a.png", "height": 32, "width": 40}],
        "annotations": annotations,
        "categories": [{"id": 2, "name": "two"}, {"id": 9, "name": "nine"}],
    }
    with tempfile.TemporaryDirectory() as folder:
        ramp = np.arange(32 * 40 * 3, dtype=np.uint32).reshape(32, 40, 3) % 251
        Image.fromarray(ramp.astype(np.uint8)).save(Path(folder) / "a.png")
        file = Path(folder) / "a.json"
        file.write_text(json.dumps(document), encoding="utf-8")
        data = CocoDataset(file, Path(folder))
        sample, truth = data[0], data.ground_truth()
    assert sample.label.masks is not None and sample.label.boxes is not None
    return {
        "image": float(sample.image.double().mean()),
        "categories": exact(sample.label.categories.tolist()),
        "masks": exact([int(mask.sum()) for mask in sample.label.masks]),
        "mask centre": float(sample.label.masks.nonzero().double().mean()),
        "boxes": float(sample.label.boxes.double().sum()),
        "truth": exact([(a["id"], a["iscrowd"], a["category_id"]) for a in truth["annotations"]]),
    }


def _shapes(count: int = 3) -> Label:
    """Discs and a frame with known masks."""
    y, x = torch.meshgrid(torch.arange(24), torch.arange(32), indexing="ij")
    masks = torch.stack([((x - 6 - 9 * k) ** 2 + (y - 10) ** 2) < (3 + k) ** 2 for k in range(2)])
    frame = ((x < 31) & (y < 23) & ((x > 28) | (y > 20))).unsqueeze(0)
    masks = torch.cat([masks, frame])[:count]
    boxes = torch.tensor([[4.0, 8, 9, 13], [12, 7, 19, 14], [0, 0, 31, 23]])[:count]
    return Label(LabelKind.MASK, torch.tensor([4, 1, 4])[:count], boxes=boxes, masks=masks)


def labels() -> Numbers:
    """What cheap labels, budgets' parts and splits come out as."""
    from wsislib.labels.splits import coco_voc_split, random_splits, world_split
    from wsislib.labels.weaken import partial, weaken

    generator = torch.Generator().manual_seed(7)
    label = _shapes()
    points = [weaken(label, LabelKind.POINT, generator).points for _ in range(4)]
    centre = weaken(label, LabelKind.POINT, generator, "centre").points
    box = weaken(label, LabelKind.BOX, generator).boxes
    half = partial(label, torch.tensor([False, True, False, False, False]))
    assert centre is not None and box is not None and half.kinds is not None
    return {
        "points": exact([p.tolist() for p in points if p is not None]),
        "centres": float(centre.sum()),
        "boxes": exact(box.tolist()),
        "tags": exact(weaken(label, LabelKind.TAG, generator).categories.tolist()),
        "partial kinds": exact(half.kinds.tolist()),
        "voc split": exact([coco_voc_split("voc").a, coco_voc_split("nonvoc").a]),
        "random splits": exact([split.a for split in random_splits()]),
        "world split": exact(world_split(80, 20, 0).a),
    }


def _scenes() -> list[Sample]:
    """Three images of coloured discs on noise, the same on every machine."""
    samples = []
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    for number in range(3):
        draw = np.random.default_rng(number)
        image = torch.from_numpy(draw.random((3, SIDE, SIDE), dtype=np.float32) * 0.2)
        masks, boxes = [], []
        for k in range(3):
            cx, cy, r = 20 + 26 * k, 24 + 17 * number, 10 + 2 * k
            mask = (x - cx) ** 2 + (y - cy) ** 2 < r * r
            image[k, mask] += 0.6
            masks.append(mask)
            boxes.append([cx - r + 1, cy - r + 1, cx + r, cy + r])
        kinds = torch.tensor([3, 3, 2], dtype=torch.uint8)
        masks[2] = torch.zeros_like(masks[2])
        label = Label(
            LabelKind.BOX,
            torch.tensor([0, 1, 2]),
            boxes=torch.tensor(boxes, dtype=torch.float32),
            masks=torch.stack(masks),
            kinds=kinds,
        )
        samples.append(Sample(image, number + 1, label))
    return samples


def mask_rcnn() -> Numbers:
    """Losses of the lab model over three plain steps, its size, and what it then predicts."""
    from wsislib.models.builders import mask_rcnn_lab

    numbers: Numbers = {}
    batch = _scenes()
    for head in ("class-agnostic", "class-specific"):
        model = mask_rcnn_lab(4, head, 0)
        numbers[f"{head}.parameters"] = float(sum(p.numel() for p in model.parameters()))
        optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
        torch.manual_seed(0)
        model.train()
        for step in (1, 2, 3):
            losses = model.losses(batch)
            for name, value in losses.items():
                numbers[f"{head}.step {step}.{name}"] = float(value.detach())
            optimiser.zero_grad()
            sum(losses.values()).backward()
            optimiser.step()
        model.eval()
        with torch.no_grad():
            found = model.predict([sample.image for sample in batch])
        numbers[f"{head}.best score"] = float(found[0].scores[:1].sum())
    return numbers


def transfer() -> Numbers:
    """Losses of Mask^X R-CNN and of heads side by side over plain steps, and T's output."""
    from wsislib.models.builders import mask_rcnn_lab
    from wsislib.models.builders_maskx import give_mlp, maskx_rcnn_lab, transfer_predictor
    from wsislib.models.mask_heads import MaskHeads

    numbers: Numbers = {}
    batch = _scenes()
    detector = mask_rcnn_lab(4, "class-agnostic", 0)
    heads = {"agnostic": give_mlp(mask_rcnn_lab(4, "class-agnostic", 0), pool=4).mask}
    for inputs in ("cls", "box", "random"):
        heads[inputs] = mask_rcnn_lab(4, "class-agnostic", 0).mask
        heads[inputs].predictor = transfer_predictor(detector.roi.box_predictor, 64, inputs, 3)
    everyone = {name: torch.ones(4, dtype=torch.bool) for name in heads}
    models = {
        "maskx": maskx_rcnn_lab(4, stop_gradient=False),
        "heads": MaskHeads(detector, heads, everyone),
    }
    for name, model in models.items():
        numbers[f"{name}.parameters"] = float(sum(p.numel() for p in model.parameters()))
        optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01)
        torch.manual_seed(0)
        model.train()
        for step in (1, 2):
            losses = model.losses(batch)
            for loss, value in losses.items():
                numbers[f"{name}.step {step}.{loss}"] = float(value.detach())
            optimiser.zero_grad()
            sum(losses.values()).backward()
            optimiser.step()
    weights = models["maskx"].mask.predictor.mask_weights()
    numbers["w_seg"] = float(weights.detach().norm())
    return numbers


class _Toy(nn.Module):
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


class _Scenes:
    """`_scenes` as a data set."""

    categories = (Category(3, "a"), Category(5, "b"), Category(9, "c"))
    image_ids = (1, 2, 3)

    def __init__(self) -> None:
        self.samples = _scenes()

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]

    def ground_truth(self) -> dict:
        """Not used by training."""
        return {"images": [], "annotations": [], "categories": []}

    def fingerprint(self) -> str:
        """A name."""
        return "golden"


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
        model = _Toy()
        with tempfile.TemporaryDirectory() as folder:
            fit(
                model, _Scenes(), TrainConfig.from_dict(settings), Path(folder),
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
    exported = predict_all(_Toy(), _Scenes(), device="cpu", progress=False)
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
    from wsislib.study.experiments import Context
    from wsislib.study.mask_rcnn import MaskRcnnConfig, run_mask_rcnn

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


MEASURES: dict[str, Callable[[], Numbers]] = {
    "world": world,
    "coco": coco,
    "voc": voc,
    "visual-genome": visual_genome,
    "labels": labels,
    "grabcut": grabcut,
    "mask_rcnn": mask_rcnn,
    "transfer": transfer,
    "wish": wish,
    "engine": engine,
    "evaluation": evaluation,
    "pipeline": pipeline,
}

# Relative tolerance by part: what other processors may differ by. Training on another processor
# differs in the last digits of every step, and a region that changes sides moves a loss a little.
TOLERANCES = {
    "world": 1e-3,
    "coco": 1e-6,
    "voc": 1e-6,
    "visual-genome": 1e-6,
    "labels": 1e-6,
    "grabcut": 1e-2,
    "mask_rcnn": 2e-2,
    "transfer": 2e-2,
    "wish": 2e-2,
    "engine": 2e-3,
    "evaluation": 1e-4,
    "pipeline": 2e-2,
}
