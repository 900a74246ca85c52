"""What a model of one's own photographs starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import nn

Start = Literal["imagenet", "ours", "coco", "scratch", "own"]
StartChoice = Literal["auto", "imagenet", "ours", "coco", "scratch"]

# Last layers, which belong to other categories: they start new.
CLASS_HEADS = {"wish": ("query_decoder.classify.",), "mask-rcnn": ("roi.box_predictor.",)}


def choose_start(choice: StartChoice, model: str, size: str) -> tuple[Start, str]:
    """The start that `choice` means for a model of that size, and the SHA-256 of our weights.

    "auto" is our own weights where they are installed and the size is theirs, else ImageNet's. The
    digest is "" unless the start is "ours".

    Raises:
        ValueError: the model cannot start so, or the weights are not there; says what to do.
    """
    from wsislib.models.assets import assets_folder, has_asset, read_asset
    from wsislib.models.efficientnet_lite import imagenet_file

    asset, small = start_asset(model), size == "small"
    start: Start = choice if choice != "auto" else "imagenet"
    if choice == "auto" and small and has_asset(asset):
        start = "ours"
    if start == "coco" and (model, size) != ("mask-rcnn", "r50"):
        raise ValueError(
            f"--start coco is of --model mask-rcnn --size r50, not of {model} {size}; use --start "
            f"{'ours or imagenet' if small else 'imagenet'}"
        )
    if start == "ours":
        if not small:
            raise ValueError(f"--start ours is of --size small, not of {size}; use imagenet")
        if not has_asset(asset):
            raise ValueError(
                f"--start ours: there is no {asset}.safetensors in {assets_folder()}; use --start "
                f"imagenet, or make it by `wsis teacher train {asset.replace('_', '-')}`"
            )
        return start, read_asset(asset)[1]["sha256"]
    if start == "imagenet" and small:
        try:
            imagenet_file("lite0")
        except ValueError as error:
            raise ValueError(f"{error}; --start scratch begins from random weights") from error
    return start, ""


def load_start(network: nn.Module, start: Start, model: str, mask_head: str) -> None:
    """Put the weights that `start` names into a model that was built for them.

    ImageNet's are put in by the builders, as the backbone alone has them.

    Args:
        network: a Mask R-CNN; of a WISH its Mask2Former.
        start: see `choose_start`; "own" is put in by `own_start.load_own`.
        model: mask-rcnn or wish.
        mask_head: of a Mask R-CNN.

    Raises:
        ValueError: they are not there, damaged, or of another network.
    """
    if start == "coco":
        from wsislib.models.maskrcnn.coco_start import load_coco, read_coco_weights
        from wsislib.models.maskrcnn.mask_rcnn import MaskRCNN

        assert isinstance(network, MaskRCNN)
        load_coco(network, read_coco_weights())
    elif start == "ours":
        from wsislib.models.assets import load_asset

        # Ours have one mask for all categories.
        specific = ("mask.predictor.",) if mask_head == "class-specific" else ()
        load_asset(start_asset(model), network, CLASS_HEADS[model] + specific)


def start_asset(model: str) -> str:
    """The asset that holds our start weights of a model."""
    from wsislib.models.assets import START_MASK2FORMER, START_MASK_RCNN

    return START_MASK2FORMER if model == "wish" else START_MASK_RCNN
