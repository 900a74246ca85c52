"""`wsis export`: masks for weakly labelled images, as a COCO file for any other tool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from wsislib.cli import DONE


def export(
    annotations: Path,
    /,
    *,
    out: Path,
    cache: Path | None = None,
    model: Path | None = None,
    images: Path | None = None,
    kind: Literal["file", "point", "box"] = "file",
    seed: int = 0,
    score: float | None = None,
    device: str = "auto",
) -> int:
    """Write masks for weakly labelled images as COCO JSON, with a score each.

    With --cache, the teacher's best-scoring candidate of every point and box (masks of the file
    stay, with score 1). With --model, what a trained model finds of the categories that each
    image is labelled with.

    Args:
        annotations: COCO JSON file with the weak labels.
        out: the COCO JSON file to write.
        cache: folder that `wsis teach` filled for the same labels.
        model: folder that `wsis train` wrote.
        images: folder that the file names are relative to; `images` beside the annotations
            where not given.
        kind: as `wsis teach` was given it.
        seed: as `wsis teach` was given it.
        score: least score of a mask; 0 for a teacher's and 0.5 for a model's where not given.
        device: of the model: auto, cpu, cuda or mps.
    """
    from wsislib.atomic import atomic_write, read_json
    from wsislib.photos.data import read_weak, require_same_categories
    from wsislib.photos.recipe import load_model
    from wsislib.teacher.pseudo_labels import as_document, model_masks, teacher_masks
    from wsislib.teacher.teacher_cache import TeacherCache
    from wsislib.teacher.teaching import TeachingDataset

    if (cache is None) == (model is None):
        raise ValueError("give either --cache (a teacher's masks) or --model (a trained model's)")
    without = 0
    if cache is not None:
        candidates = TeacherCache(cache)
        dataset = read_weak(annotations, images, kind, seed)
        made_by = f"the teacher {candidates.teacher} ({candidates.fingerprint[:12]})"
        results, without = teacher_masks(TeachingDataset(dataset, candidates), score or 0.0)
    else:
        assert model is not None
        trained, recipe = load_model(model)
        dataset = read_weak(annotations, images, kind, seed)
        require_same_categories(dataset, recipe.known(), annotations)
        made_by = f"the model in {model.name}"
        results = model_masks(trained, dataset, 0.5 if score is None else score, device)
    known = set(dataset.image_ids)
    records = [record for record in read_json(annotations)["images"] if record["id"] in known]
    document = as_document(results, records, dataset.categories, made_by)
    atomic_write(out, json.dumps(document, separators=(",", ":"), allow_nan=False))
    print(f"{len(results)} masks in {len(records)} images: {out}")
    if without:
        print(f"without a mask: {without} entries (tags, empty candidates or scores too low)")
    return DONE
