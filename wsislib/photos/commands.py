"""`wsis train`, `evaluate` and `predict`: one's own COCO-format photographs, end to end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wsislib.models.teacher_names import DEFAULT_TEACHER
from wsislib.photos.recipe import MaskHead, ModelName, Size, load_model, read_recipe
from wsislib.photos.starts import StartChoice

if TYPE_CHECKING:
    from wsislib.data.images import ImageFolder


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
    image_side: tuple[int, int] | None = None,
    steps: int = 3000,
    batch_size: int = 4,
    learning_rate: float | None = None,
    seed: int = 0,
    checkpoint_every: int = 100,
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
        image_side: shortest side wanted and longest allowed, in pixels.
        steps: training steps in all.
        batch_size: images a step.
        learning_rate: after warm-up; it falls to nothing along a cosine. 0.02 where not given; of
            WISH 0.0005, and 0.0001 for r50; of a small Mask R-CNN that is not from scratch 0.0003.
        seed: of weights, order and augmentation.
        checkpoint_every: steps between checkpoints.
        device: auto, cpu, cuda or mps.
    """
    from wsislib.engine.device import describe_device, pick_device
    from wsislib.engine.train import fit
    from wsislib.photos.training import TrainOptions, prepare

    options = TrainOptions(
        model, labels, teacher, size, mask_head, from_scratch, image_side, steps, batch_size,
        learning_rate, seed, checkpoint_every, start,
    )  # fmt: skip
    training = prepare(annotations, images, first, options, out, device)
    chosen, categories = pick_device(device), len(training.recipe.categories)
    begin = f"start: {training.recipe.start}"
    images_read = f"{len(training.dataset)} images, {categories} categories"
    print(f"{images_read}, {begin}, {describe_device(chosen)}")
    fitted = fit(
        training.model, training.dataset, training.config, out,
        device=chosen, augment=training.augment,
    )  # fmt: skip
    print(f"trained {fitted.steps} steps in {fitted.seconds:.0f} s: {out}")
    return 0


def evaluate(
    model: Path,
    annotations: Path,
    /,
    *,
    images: Path | None = None,
    first: int | None = None,
    per_category: bool = False,
    device: str = "auto",
) -> int:
    """Print COCO's twelve numbers, for masks and for boxes.

    Args:
        model: the folder that `wsis train` wrote.
        annotations: COCO JSON file with the ground truth.
        images: folder of the images; `images` beside the annotations where not given.
        first: evaluate only the first N images that have instances.
        per_category: also print the AP of every category.
        device: auto, cpu, cuda or mps.
    """
    from wsislib.atomic import write_json
    from wsislib.engine.device import pick_device
    from wsislib.engine.evaluate import coco_ap, predict_all
    from wsislib.photos.data import read_photographs, require_same_categories

    recipe = read_recipe(model)
    dataset = read_photographs(annotations, images, first)
    require_same_categories(dataset, recipe.known(), annotations)
    trained, _ = load_model(model)
    results = predict_all(trained, dataset.without_outlines(), device=pick_device(device))
    ground_truth = dataset.ground_truth()
    scores = {kind: coco_ap(ground_truth, results, iou_type=kind) for kind in ("segm", "bbox")}
    name = f"evaluation-{annotations.stem}"
    numbers = {kind: score.numbers() for kind, score in scores.items()}
    write_json(model / f"{name}.json", numbers)
    write_json(model / f"{name}-results.json", results)
    print("      " + "".join(f"{name:>7s}" for name in numbers["segm"]))
    for kind, values in numbers.items():
        print(f"{kind:6s}" + "".join(f"{value:7.1f}" for value in values.values()))
    if per_category:
        for category, value in scores["segm"].per_category.items():
            print(f"  {category:24s} {value:6.1f}")
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
    device: str = "auto",
) -> int:
    """Find instances in photographs: one overlay picture each, and COCO-format results.

    Args:
        model: the folder that `wsis train` wrote.
        images: image files, or folders of them.
        out: gets overlays/*.png, results.json and images.json (the ids used).
        annotations: a COCO JSON file whose image ids to use, matched by file name.
        score: lowest score of what is drawn; results.json holds everything.
        device: auto, cpu, cuda or mps.
    """
    from wsislib.atomic import write_json
    from wsislib.data.images import ImageFolder, find_images
    from wsislib.engine.device import pick_device
    from wsislib.engine.evaluate import predict_all
    from wsislib.photos.data import ids_by_name

    trained, recipe = load_model(model)
    files = find_images(images)
    folder = ImageFolder(files, recipe.known(), ids_by_name(files, annotations))
    results = predict_all(trained, folder, device=pick_device(device))
    write_json(out / "results.json", results)
    write_json(out / "images.json", folder.records())
    _draw(folder, results, out / "overlays", score)
    print(f"{len(results)} instances in {len(folder)} images: {out / 'results.json'}")
    print(f"overlay pictures: {out / 'overlays'}")
    return 0


def _draw(folder: ImageFolder, results: list[dict], out: Path, score: float) -> None:
    from wsislib.viz.figure import save_figure
    from wsislib.viz.overlay import Style, overlay
    from wsislib.viz.pictures import read_detections

    for index, file in enumerate(folder.files):
        sample = folder[index]
        size = sample.image.shape[1:]
        detections = read_detections(results, sample.image_id, folder.categories, *size)
        figure = overlay(sample.image, detections, folder.categories, style=Style(min_score=score))
        save_figure(figure, out / f"{file.stem}.png")
