"""What a model trained on a user's own photographs is: enough to build it again and use it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from wsislib.atomic import read_json, write_json

if TYPE_CHECKING:
    from torch import nn

    from wsislib.data.sample import Category, Dataset

ModelName = Literal["mask-rcnn", "wish"]
Size = Literal["small", "r50", "r101"]
MaskHead = Literal["class-agnostic", "class-specific"]
SEGMENTER = "segmenter."  # what the names of the Mask2Former's weights begin with in a WISH


@dataclass(frozen=True)
class Recipe:
    """A model and the categories it knows.

    Attributes:
        size: "small" trains on a machine without a GPU; "r50" and "r101" are the published
            Mask R-CNNs.
        mask_head: one mask map for all categories, or one each.
        pretrained: whether the backbone starts from ImageNet weights (r50 and r101 only).
        image_side: shortest side wanted and longest side allowed, pixels.
        seed: of initial weights and training.
        categories: (id in the annotation file, name), in the model's order.
        data: fingerprint of the data set that it was trained on.
        model: "mask-rcnn" learns from masks; "wish" from labels of any kind.
        labels: of "wish", how the data set's labels were weakened; see `data.read_mixed`.
        teacher: of "wish": "tiny", or the fingerprint of the SAM that taught it.
    """

    size: Size
    mask_head: MaskHead
    pretrained: bool
    image_side: tuple[int, int]
    seed: int
    categories: tuple[tuple[int, str], ...]
    data: str
    model: ModelName = "mask-rcnn"
    labels: str = "file"
    teacher: str = ""

    def known(self) -> tuple[Category, ...]:
        """The categories that the model knows, in its order."""
        from wsislib.data.sample import Category

        return tuple(Category(id, name) for id, name in self.categories)

    def build(self, *, weights_follow: bool = False) -> nn.Module:
        """Build the model; of "wish" the part that predicts, without its teacher.

        Args:
            weights_follow: trained weights will be loaded, so ImageNet's are not fetched.
        """
        if self.model == "wish":
            return self._build_segmenter(fetch=not weights_follow)
        from wsislib.models.maskrcnn.builders import (
            mask_rcnn_r50_fpn,
            mask_rcnn_r101_fpn,
            mask_rcnn_small,
        )

        count, side = len(self.categories), self.image_side
        if self.size == "small":
            return mask_rcnn_small(count, self.mask_head, self.seed, image_side=side)
        build = {"r50": mask_rcnn_r50_fpn, "r101": mask_rcnn_r101_fpn}[self.size]
        fetch = not weights_follow
        return build(count, self.mask_head, self.seed, self.pretrained, side, fetch)

    def _build_segmenter(self, fetch: bool) -> nn.Module:
        """The Mask2Former inside a WISH, which is all that predicts."""
        from wsislib.models.mask2former.builders import mask2former_r50, mask2former_small

        count, side = len(self.categories), self.image_side
        if self.size == "small":
            return mask2former_small(count, self.seed, side)
        return mask2former_r50(count, self.seed, self.pretrained, side, fetch)

    def save(self, folder: Path) -> None:
        """Write `folder`/recipe.json, or check that the one there is the same.

        Raises:
            ValueError: the folder holds a model of another recipe; says what differs.
        """
        path = folder / "recipe.json"
        if path.exists():
            self._require_same(read_recipe(folder), path)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            write_json(path, asdict(self))

    def _require_same(self, other: Recipe, path: Path) -> None:
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if mine != theirs:
                raise ValueError(
                    f"{path}: this folder was begun with another {field.name} "
                    f"({_short(theirs)}, now {_short(mine)}); choose a new folder with --out, or "
                    "give the settings it was begun with"
                )


def recipe_for(
    dataset: Dataset,
    size: Size,
    mask_head: MaskHead,
    from_scratch: bool,
    image_side: tuple[int, int] | None,
    seed: int,
) -> Recipe:
    """The recipe of a Mask R-CNN of `dataset`; arguments as of `wsis train`."""
    pretrained = size != "small" and not from_scratch  # no weights exist for the small one
    side = image_side or ((240, 320) if size == "small" else (800, 1333))
    categories = tuple((c.id, c.name) for c in dataset.categories)
    return Recipe(size, mask_head, pretrained, side, seed, categories, dataset.fingerprint())


def read_recipe(folder: Path) -> Recipe:
    """The recipe of the model in `folder`.

    Raises:
        ValueError: the folder holds no model, or its recipe cannot be read.
    """
    path = folder / "recipe.json"
    if not path.exists():
        raise ValueError(
            f"{folder}: no trained model here (no recipe.json); run `wsis train` first"
        )
    found = read_json(path)
    known = [field.name for field in fields(Recipe)]
    needed = {field.name for field in fields(Recipe) if field.default is MISSING}
    if not isinstance(found, Mapping) or not needed <= set(found) <= set(known):
        keys = set(found) if isinstance(found, Mapping) else set()
        odd = sorted((needed - keys) | (keys - set(known)))
        near = difflib.get_close_matches(odd[0], known, n=1) if odd else []
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(f"{path}: not a recipe of this version; missing or unknown: {odd}{hint}")
    values: dict[str, Any] = dict(found)
    values["image_side"] = tuple(values["image_side"])
    values["categories"] = tuple((int(id), str(name)) for id, name in values["categories"])
    return Recipe(**values)


def load_model(folder: Path) -> tuple[nn.Module, Recipe]:
    """The trained model in `folder`, in evaluation mode, with its recipe.

    Raises:
        ValueError: there is none, training has not ended, or a file is damaged.
    """
    recipe = read_recipe(folder)
    weights = folder / "checkpoints" / "final.safetensors"
    if not weights.exists():
        raise ValueError(
            f"{weights} is not there: training in {folder} has not ended. "
            "Give the same `wsis train` command again; it goes on where it was."
        )
    from wsislib.engine.weights import load_weights, read_meta, read_tensors, require_same_tensors

    model = recipe.build(weights_follow=True)
    if recipe.model == "wish":  # of a WISH only the Mask2Former inside predicts
        tensors = read_tensors(weights, read_meta(weights))
        inside = {
            name.removeprefix(SEGMENTER): tensor
            for name, tensor in tensors.items()
            if name.startswith(SEGMENTER)
        }
        require_same_tensors(weights, inside, model)
        model.load_state_dict(inside)
    else:
        load_weights(weights, model)
    return model.eval(), recipe


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
