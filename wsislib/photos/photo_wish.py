"""WISH on one's own photographs: labels of any kind, taught by a SAM."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from wsislib.photos.recipe import MaskHead, Recipe, Size, recipe_for

if TYPE_CHECKING:
    from torch import nn

    from wsislib.data.sample import Dataset
    from wsislib.engine.config import TrainConfig
    from wsislib.models.mask2former.mask2former import Mask2Former
    from wsislib.models.sam.sam import Teacher
    from wsislib.models.wish.wish import WISH

RATES = {"small": 5e-4, "r50": 1e-4}  # learning rates, for batches of 16
LEAST_FIT = 0.7
"""`Gate.fit` of one's own trainings: nobody knows how well a teacher does on one's images."""
_SEGMENTER = "segmenter."


def prepare(
    data: tuple[Path, Path | None, str, int | None],
    out: Path,
    teacher: str,
    settings: tuple[Size, MaskHead, bool, tuple[int, int] | None, int],
    course: tuple[int, int, float | None, int],
    device: str,
) -> tuple[Recipe, WISH, Dataset, TrainConfig]:
    """All that a training needs; the teacher's candidates are made now, in `out`/candidates.

    Args:
        data: annotations, images, labels and first, as `weak_data.read_mixed` takes them.
        out: the folder of the model.
        teacher: "tiny" or a checkpoint's path.
        settings: as `recipe_for` takes them.
        course: steps, batch size, learning rate and steps between checkpoints.
        device: as `pick_device` takes it.

    Raises:
        ValueError: a fault in data, settings or teacher, before anything is written.
    """
    from wsislib.engine.device import pick_device
    from wsislib.models.sam.sam_weights import load_sam
    from wsislib.photos.weak_data import read_mixed

    annotations, images, labels, first = data
    require_size(settings[0])
    sam = load_sam(teacher)
    dataset = read_mixed(annotations, images, labels, settings[-1], first)
    name = teacher if teacher == "tiny" else sam.fingerprint
    plain = recipe_for(dataset, *settings)
    recipe = replace(plain, model="wish", labels=labels, teacher=name)
    recipe.save(out)
    taught = with_candidates(dataset, sam.to(pick_device(device)), out / "candidates")
    return recipe, build_wish(recipe, sam, course[0]), taught, wish_config(recipe, *course)


def require_size(size: Size) -> None:
    """Raise ValueError where WISH does not come in a size."""
    if size not in RATES:
        raise ValueError(f"--size {size}: WISH comes in {' and '.join(RATES)}")


def build_segmenter(recipe: Recipe, fetch: bool = True) -> Mask2Former:
    """The Mask2Former inside, which is all that predicts.

    Args:
        recipe: of a WISH.
        fetch: see `builders_mask2former.mask2former_r50`.
    """
    from wsislib.models.mask2former.builders import mask2former_r50, mask2former_small

    count, side = len(recipe.categories), recipe.image_side
    if recipe.size == "small":
        return mask2former_small(count, recipe.seed, side)
    return mask2former_r50(count, recipe.seed, recipe.pretrained, side, fetch)


def load_segmenter(path: Path, segmenter: nn.Module) -> None:
    """Give a Mask2Former the weights of the WISH at `path`.

    Raises:
        DamagedFile: the file is damaged; names it.
        ValueError: it holds another model.
    """
    from wsislib.engine.weights import read_meta, read_tensors, require_same_tensors

    held = read_tensors(path, read_meta(path))
    own = {
        name.removeprefix(_SEGMENTER): tensor
        for name, tensor in held.items()
        if name.startswith(_SEGMENTER)
    }
    require_same_tensors(path, own, segmenter)
    segmenter.load_state_dict(own)


def build_wish(recipe: Recipe, teacher: Teacher, steps: int) -> WISH:
    """The model that is trained.

    Args:
        recipe: size, categories, seed.
        teacher: a frozen SAM.
        steps: of the whole training: activation maps learn alone for the first tenth, and are
            taught by predicted masks from half-way on.
    """
    from wsislib.models.wish.builders import WishParts, wish_r50, wish_small
    from wsislib.models.wish.candidate_choice import Gate

    count, side, seed = len(recipe.categories), recipe.image_side, recipe.seed
    alone, late = steps // 10, steps // 2
    # One's own labels are of several kinds as a rule.
    parts = WishParts(gate=Gate(min_box_iou=LEAST_FIT), tokens="by-kind")
    if recipe.size == "small":
        return wish_small(count, teacher, parts, alone, late, seed, side)
    return wish_r50(count, teacher, parts, alone, late, seed, recipe.pretrained, side)


def with_candidates(dataset: Dataset, teacher: Teacher, folder: Path) -> Dataset:
    """The data set with the teacher's candidates for its points and boxes, kept in `folder`."""
    from wsislib.teacher.teach import teach
    from wsislib.teacher.teaching import TeachingDataset

    return TeachingDataset(dataset, teach(dataset, teacher, folder).cache)


def wish_config(
    recipe: Recipe, steps: int, batch_size: int, learning_rate: float | None, checkpoint_every: int
) -> TrainConfig:
    """How a WISH of one's own is trained: Mask2Former's way, along a cosine."""
    from wsislib.engine.config import TrainConfig
    from wsislib.models.wish.builders import wish_loss_weights

    paper = recipe.size != "small"
    return TrainConfig(
        steps=steps,
        batch_size=batch_size,
        optimiser="adamw",
        learning_rate=RATES[recipe.size] if learning_rate is None else learning_rate,
        weight_decay=0.05,
        decay_norms=not paper,
        schedule="cosine",
        warmup_steps=min(50, steps // 10),
        warmup_factor=0.01,
        clip_norm=0.01 if paper else 1.0,
        seed=recipe.seed,
        checkpoint_every=checkpoint_every,
        log_every=10,
        loss_weights=wish_loss_weights(),
        lr_factors={"segmenter.backbone.": 0.1} if paper else {},
    )
