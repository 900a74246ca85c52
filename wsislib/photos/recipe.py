"""What a model trained on a user's own photographs is: enough to build it again and use it."""

from __future__ import annotations

import shlex
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from wsislib.atomic import read_json, write_json
from wsislib.photos.data_record import Record, describe_change, write_record
from wsislib.photos.starts import Start, load_start

if TYPE_CHECKING:
    from torch import nn

    from wsislib.data.sample import Category

ModelName = Literal["mask-rcnn", "wish"]
Size = Literal["small", "r50", "r101"]
MaskHead = Literal["class-agnostic", "class-specific"]
SEGMENTER = "segmenter."  # what the names of the Mask2Former's weights begin with in a WISH


@dataclass(frozen=True)
class Recipe:
    """A model and the categories it knows."""

    size: Size  # "small" trains without a GPU; "r50" and "r101" are the published ones
    mask_head: MaskHead  # one mask map for all categories, or one each
    pretrained: bool  # whether its form is the one with a trained, frozen-norm backbone
    image_side: tuple[int, int]  # shortest side wanted and longest side allowed, pixels
    seed: int  # of initial weights and training
    categories: tuple[tuple[int, str], ...]  # (id in the file, name), in the model's order
    data: str  # fingerprint of the data set that it was trained on
    model: ModelName = "mask-rcnn"
    # Of WISH: how the labels were weakened (see `data.weakened`), and which SAM was its teacher
    # (one of the package by name, others by fingerprint).
    labels: str = "file"
    teacher: str = ""
    # What the weights were before training; before there was a choice ImageNet's if pretrained.
    start: Start = "scratch"
    start_sha256: str = ""  # of our own start weights, or of the model that --init named
    max_objects: int = 0  # room for so many in an image; 0 is what the network is built for

    def known(self) -> tuple[Category, ...]:
        """The categories that the model knows, in its order."""
        from wsislib.data.sample import Category

        return tuple(Category(id, name) for id, name in self.categories)

    def build(self, *, weights_follow: bool = False) -> nn.Module:
        """Build the model; of "wish" the Mask2Former inside, which is all that predicts.

        With `weights_follow` trained weights will be loaded, so those of the start are neither
        read nor fetched. Else a ValueError where these are not there, damaged or another network's.
        """
        from wsislib.photos.capacity import raise_capacity

        network = self._network(fetch=self.start == "imagenet" and not weights_follow)
        if not weights_follow:
            load_start(network, self.start, self.model, self.mask_head)
        raise_capacity(network, self.max_objects, self.seed)
        return network

    def _network(self, fetch: bool) -> nn.Module:
        from wsislib.models.mask2former import builders as mask2former
        from wsislib.models.maskrcnn import builders as maskrcnn
        from wsislib.models.maskrcnn import lite_builders

        count, seed, side = len(self.categories), self.seed, self.image_side
        if self.model == "wish":
            if self.size != "small":
                return mask2former.mask2former_r50(count, seed, self.pretrained, side, fetch)
            if self.pretrained:
                return mask2former.mask2former_lite(count, seed, side, fetch)
            return mask2former.mask2former_small(count, seed, side)
        if self.size != "small":
            builders = {"r50": maskrcnn.mask_rcnn_r50_fpn, "r101": maskrcnn.mask_rcnn_r101_fpn}
            build = builders[self.size]
            return build(count, self.mask_head, seed, self.pretrained, side, fetch)
        if self.pretrained:
            return lite_builders.mask_rcnn_lite(
                count, self.mask_head, seed, side, fetch, jittered=True
            )
        return maskrcnn.mask_rcnn_small(count, self.mask_head, seed, image_side=side)

    def save(self, folder: Path, data: Record | None = None) -> None:
        """Write `folder`/recipe.json; raises ValueError where one is there that differs.

        `data` is the record of the data set, which is written beside it and lets the message say
        what changed.
        """
        path = folder / "recipe.json"
        if not path.exists():
            if data is not None:
                write_record(folder, data)
            write_json(path, asdict(self))
            return
        other = read_recipe(folder)
        # What an option names before what follows from it.
        order = {"pretrained": 1, "categories": 2, "data": 3}
        for field in sorted(fields(self), key=lambda field: order.get(field.name, 0)):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if mine != theirs and order.get(field.name, 0) >= 2 and data is not None:
                raise ValueError(
                    f"{path}: this folder was begun with other {field.name}: "
                    f"{describe_change(folder, data) or 'no record tells what changed'}. Put them "
                    "back as they were, or choose a new folder with --out; --init "
                    f"{shlex.quote(str(folder))} starts it from the weights here"
                )
            if mine != theirs:
                raise ValueError(
                    f"{path}: this folder was begun with another {field.name} "
                    f"({_short(theirs)}, now {_short(mine)}); choose a new folder with --out, or "
                    "give the settings it was begun with"
                )


def read_recipe(folder: Path) -> Recipe:
    """The recipe of the model in `folder`; raises ValueError where it cannot be read."""
    path = folder / "recipe.json"
    if not path.exists():
        raise ValueError(
            f"{folder}: no trained model here (no recipe.json); run `wsis train` first"
        )
    values = read_json(path)
    keys = set(values) if isinstance(values, dict) else set()
    known = {field.name for field in fields(Recipe)}
    needed = {field.name for field in fields(Recipe) if field.default is MISSING}
    if odd := sorted((needed - keys) | (keys - known)):
        raise ValueError(f"{path}: not a recipe of this version; missing or unknown: {odd}")
    values.setdefault("start", "imagenet" if values["pretrained"] else "scratch")
    values["image_side"] = tuple(values["image_side"])
    values["categories"] = tuple((int(id), str(name)) for id, name in values["categories"])
    return Recipe(**values)


def load_model(folder: Path) -> tuple[nn.Module, Recipe]:
    """The trained model in `folder`, in evaluation mode, with its recipe.

    Raises ValueError where there is none, training has not ended, or a file is damaged.
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
    if recipe.model == "wish":
        tensors = read_tensors(weights, read_meta(weights)).items()
        inside = {k.removeprefix(SEGMENTER): t for k, t in tensors if k.startswith(SEGMENTER)}
        require_same_tensors(weights, inside, model)
        model.load_state_dict(inside)
    else:
        load_weights(weights, model)
    return model.eval(), recipe


def limit_detections(model: nn.Module, most: int) -> None:
    """Let a model of a `Recipe` find at most so many instances in an image."""
    from wsislib.models.mask2former.mask2former import Mask2Former
    from wsislib.models.maskrcnn.detector import Detector

    if isinstance(model, Mask2Former):
        model.max_detections = most
    elif isinstance(model, Detector):
        model.roi.detections_per_img = most


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
