"""How many objects of an image a model can find, and how to make it more."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from wsislib.data.photographs.ap_ceiling import METRIC_LIMIT, ap_ceiling
from wsislib.models.mask2former.mask2former import Mask2Former
from wsislib.models.maskrcnn.mask_rcnn import MaskRCNN

MOST_OBJECTS = 2000


def capacity_of(network: nn.Module) -> int:
    """How many objects a Mask2Former or a Mask R-CNN finds in an image at most."""
    if isinstance(network, Mask2Former):
        return min(network.query_decoder.queries.num_embeddings, network.max_detections)
    assert isinstance(network, MaskRCNN)
    return network.roi.detections_per_img


def raise_capacity(network: nn.Module, objects: int, seed: int) -> None:
    """Let a network find `objects` objects in an image, in place; nothing where it can already.

    A Mask2Former gets queries beside those that it has, with random weights drawn by `seed`; a
    Mask R-CNN keeps more proposals and detections.
    """
    if objects <= capacity_of(network):
        return
    if isinstance(network, MaskRCNN):
        network.roi.detections_per_img = objects
        for kept in (network.rpn._pre_nms_top_n, network.rpn._post_nms_top_n):
            kept["testing"] = max(kept["testing"], 2 * objects)
        return
    assert isinstance(network, Mask2Former)
    decoder, generator = network.query_decoder, torch.Generator().manual_seed(seed)
    network.max_detections = max(network.max_detections, objects)
    for name in ("queries", "places"):
        old: torch.Tensor = getattr(decoder, name).weight.detach()
        new = torch.randn(objects, old.shape[1], generator=generator)
        new[: len(old)] = old
        setattr(decoder, name, nn.Embedding.from_pretrained(new, freeze=False))


def capacity_warning(amounts: Mapping[int, Mapping[int, int]], capacity: int) -> str | None:
    """A sentence where images hold more objects than a model finds; None where none does.

    `amounts` is as for `ap_ceiling`.
    """
    totals = [sum(image.values()) for image in amounts.values()]
    if max(totals, default=0) <= capacity:
        return None
    over, most = sum(total > capacity for total in totals), max(totals)
    ceiling = ap_ceiling(amounts, capacity, max(METRIC_LIMIT, capacity))
    return (
        f"{over} images hold more objects (up to {most}) than this model finds in one "
        f"({capacity}): on this file its AP can be {ceiling:.1f} at most; --max-objects {most} "
        "makes room, or cut the images into tiles"
    )
