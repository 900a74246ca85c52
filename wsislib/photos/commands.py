"""`wsis train`, `evaluate` and `predict`: one's own COCO-format photographs, end to end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from inspect import signature
from pathlib import Path
from typing import cast

from wsislib.cli import DONE, FAILED
from wsislib.models.teacher_names import DEFAULT_TEACHER
from wsislib.photos.recipe import MaskHead, ModelName, Size, load_model, read_recipe
from wsislib.photos.starts import StartChoice


def train(
    annotations: Path,
    /,
    *,
    out: Path,
    images: Path | None = None,
    first: int | None = None,
    model: ModelName = "mask-rcnn",
    labels: str = "file",
    teacher: str = DEFAULT_TEACHER,
    size: Size = "small",
    mask_head: MaskHead = "class-agnostic",
    start: StartChoice = "auto",
    from_scratch: bool = False,
    init: Path | None = None,
    image_side: tuple[int, int] | None = None,
    max_objects: int = 0,
    steps: int = 3000,
    batch_size: int = 4,
    learning_rate: float | None = None,
    seed: int = 0,
    checkpoint_every: int = 100,
    allow_empty: bool = False,
    device: str = "auto",
) -> int:
    """Check a COCO-format data set, then train a model on it.

    A Mask R-CNN learns from masks. WISH learns from tags, points, boxes and masks, whatever an
    image has. Stopped at any moment, the same command goes on where it was.

    Args:
        annotations: COCO JSON file.
        out: folder for the model; made where it is missing. Large photographs are kept scaled down
            in `pictures` there (4 GiB at most; may be deleted at any time).
        images: folder that the file names are relative to; `images` beside the annotations
            where not given.
        first: train on the first N images that have instances, for a quick check.
        model: mask-rcnn or wish.
        labels: of WISH: file takes labels as they are; tags, points, boxes or masks weakens all of
            them; "40 tags + 8 boxes" draws a mix and leaves the other images out.
        teacher: of WISH: one of the package by name (tiny), or the path of a published SAM
            checkpoint.
        size: small trains without a GPU; r50 and r101 are the published ones (WISH: r50).
        mask_head: of a Mask R-CNN: one mask for all categories, or one each.
        start: ours (weights of the package that have seen masks of other photographs; small),
            imagenet, coco (torchvision's Mask R-CNN; r50) or scratch (random weights). auto is ours
            where there are some, else imagenet.
        from_scratch: the same as --start scratch.
        init: folder of a model that `wsis train` made, finished or not, to start from instead;
            categories are taken over by their names, others are new.
        image_side: shortest side wanted and longest allowed, in pixels.
        max_objects: make room for so many objects in an image where the model has less.
        steps: training steps in all.
        batch_size: images a step.
        learning_rate: after warm-up; it falls to nothing along a cosine. 0.02 where not given; of
            WISH 0.0005, and 0.0001 for r50; of a small Mask R-CNN that is not from scratch 0.0003.
        seed: of weights, order and augmentation.
        checkpoint_every: steps between checkpoints.
        allow_empty: a file without any object is meant so.
        device: auto, cpu, cuda or mps.
    """
    given = _given(train, locals())
    from wsislib.atomic import write_json
    from wsislib.engine.device import describe_device, pick_device
    from wsislib.engine.errors import NonFiniteLoss
    from wsislib.engine.train import fit
    from wsislib.photos.collapse import look_back
    from wsislib.photos.going_on import diverged
    from wsislib.photos.training import TrainOptions, prepare

    options = TrainOptions(
        model, labels, teacher, size, mask_head, from_scratch, image_side, steps, batch_size,
        learning_rate, seed, checkpoint_every, start, init, max_objects, allow_empty,
    )  # fmt: skip
    training = prepare(annotations, images, first, options, out, device, given)
    write_json(out / "labels.json", training.table.to_json())
    print("\n".join([training.table.text(), *training.notes]))
    chosen, categories = pick_device(device), len(training.recipe.categories)
    begin = f"start: {training.recipe.start}"
    images_read = f"{len(training.dataset)} images, {categories} categories"
    print(f"{images_read}, {begin}, {describe_device(chosen)}")
    try:
        fitted = fit(
            training.model, training.dataset, training.config, out,
            device=chosen, augment=training.augment,
        )  # fmt: skip
    except NonFiniteLoss as error:
        rate = training.config.learning_rate
        raise diverged(error, out, annotations, rate, given) from error
    print(f"trained {fitted.steps} steps in {fitted.seconds:.0f} s: {out}")
    noted = look_back(training.model, training.dataset, fitted.history, chosen, init is None)
    write_json(out / "warnings.json", noted)
    for line in noted:
        print(f"warning: {line}", file=sys.stderr)
    return 0


def _given(command: Callable[..., int], values: Mapping[str, object]) -> dict[str, object]:
    """The options of a call that are not the defaults, by their names on the command line."""
    parameters = signature(command).parameters.values()
    return {
        f"--{one.name.replace('_', '-')}": values[one.name]
        for one in parameters
        if one.name not in ("annotations", "out") and values[one.name] != one.default
    }


def evaluate(
    model: Path,
    annotations: Path,
    /,
    *,
    images: Path | None = None,
    first: int | None = None,
    per_category: bool = False,
    max_detections: int = 100,
    device: str = "auto",
) -> int:
    """Print COCO's twelve numbers, for masks and for boxes.

    Args:
        model: the folder that `wsis train` wrote.
        annotations: COCO JSON file with the ground truth.
        images: folder of the images; `images` beside the annotations where not given.
        first: evaluate only the first N images that have instances.
        per_category: also print the AP of every category.
        max_detections: how many of an image and category AP counts; COCO's number is 100.
        device: auto, cpu, cuda or mps.
    """
    from wsislib.atomic import write_json
    from wsislib.engine.device import pick_device
    from wsislib.engine.evaluate import coco_ap, predict_all
    from wsislib.photos.collapse import training_warnings
    from wsislib.photos.data import read_photographs, require_same_categories

    recipe = read_recipe(model)
    dataset = read_photographs(annotations, images, first)
    require_same_categories(dataset, recipe.known(), annotations)
    trained, _ = load_model(model)
    for line in training_warnings(model):
        print(f"warning of its training: {line}", file=sys.stderr)
    results = predict_all(trained, dataset.without_outlines(), device=pick_device(device))
    ground_truth = dataset.ground_truth()
    scores = {
        kind: coco_ap(ground_truth, results, iou_type=kind, most=max_detections)
        for kind in ("segm", "bbox")
    }
    name = f"evaluation-{annotations.stem}"
    numbers = {kind: score.numbers() for kind, score in scores.items()}
    # Printed first: a full disk does not take what took an hour.
    print("      " + "".join(f"{name:>7s}" for name in numbers["segm"]))
    for kind, values in numbers.items():
        print(f"{kind:6s}" + "".join(f"{value:7.1f}" for value in values.values()))
    if per_category:
        for category, value in scores["segm"].per_category.items():
            print(f"  {category:24s} {value:6.1f}")
    write_json(model / f"{name}.json", numbers)
    write_json(model / f"{name}-results.json", results)
    print(f"written: {model / name}.json and -results.json (COCO results format)")
    return 0


def predict(
    model: Path,
    images: list[Path],
    /,
    *,
    out: Path,
    annotations: Path | None = None,
    score: float = 0.5,
    max_detections: int | None = None,
    tile: int | None = None,
    overlap: float = 0.25,
    overlay_side: int = 1600,
    recursive: bool = False,
    force: bool = False,
    device: str = "auto",
) -> int:
    """Find instances in photographs: one overlay picture each, and their masks as COCO files.

    Ends with 1 where a photograph could not be read; the others are done all the same.

    Args:
        model: the folder that `wsis train` wrote.
        images: image files, or folders of them. Links in a folder are read with --follow-links.
        out: gets predictions.json (a COCO file with scores), results.json (the list that COCO's
            evaluation takes) and overlays/*.jpg.
        annotations: a COCO JSON file whose image records to use, matched by file name.
        score: lowest score of what is drawn; the files hold everything.
        max_detections: most instances in a photograph, or in each of its tiles; as the model was
            built if not given.
        tile: look at large photographs in tiles of so many pixels, for small objects.
        overlap: of neighbouring tiles, as a share of their side; best as wide as an object.
        overlay_side: longest side of an overlay picture, pixels.
        recursive: look into subfolders too.
        force: replace the results of an earlier run in `out`.
        device: auto, cpu, cuda or mps.
    """
    from wsislib.data.sample import WindowModel
    from wsislib.data.tiles import tiles_of
    from wsislib.engine.device import pick_device
    from wsislib.photos.data import records_for
    from wsislib.photos.finding import find_pictures
    from wsislib.photos.predicting import Drawing, describe, predict_pictures
    from wsislib.photos.prediction_files import PredictionFiles, overlay_names, require_free
    from wsislib.photos.recipe import limit_detections

    known = read_recipe(model).known()
    if tile is not None:
        tiles_of(1, 1, tile, overlap)  # refuses what cannot be meant
    if not 16 <= overlay_side <= 16384 or (max_detections is not None and max_detections < 1):
        raise ValueError("--overlay-side must be 16 to 16384, --max-detections 1 or more")
    found = find_pictures(images, recursive, out)
    records, others = records_for(found.pictures, annotations, known)
    inputs = [picture.path for picture in found.pictures]
    require_free(out, force, [*inputs, *([annotations] if annotations else [])])
    trained, _ = load_model(model)
    chosen = pick_device(device)
    if max_detections is not None:
        limit_detections(trained, max_detections)
    names = overlay_names([picture.name for picture in found.pictures])
    files = PredictionFiles(out, known, f"the model in {model.resolve().name}", names)
    drawing = Drawing(score, overlay_side, tile, overlap)
    network = cast(WindowModel, trained.to(chosen))
    failed = predict_pictures(network, found.pictures, records, files, drawing, chosen)
    for line in describe(out, files, drawing):
        print(line)
    for line in found.summary():
        print(line)
    if others:
        print(f"not among these photographs: {others} images of {annotations}")
    if failed:
        print(f"left out, cannot be used: {len(failed)} ({', '.join(list(failed)[:3])})")
    return FAILED if failed else DONE
