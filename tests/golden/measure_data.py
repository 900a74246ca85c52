"""What is drawn, what is read from a COCO file, and what labels are made of it."""

import json
import tempfile
from pathlib import Path

import numpy as np
import torch

from tests.golden.golden_numbers import Numbers, exact
from wsislib.data.sample import Label, LabelKind


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

    from wsislib.data.photographs.coco import CocoDataset

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
