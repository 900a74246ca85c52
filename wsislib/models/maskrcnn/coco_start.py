"""A Mask R-CNN R-50 that starts from torchvision's, which was trained on COCO's masks.

Backbone, pyramid, RPN, the two layers of the box head and the mask trunk are torchvision's own
parts, so their weights are taken over as they are. The last layers, of boxes and of masks, are of
91 categories there and stay new.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError

import torch
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN_ResNet50_FPN_Weights
from torchvision.ops import FrozenBatchNorm2d

from wsislib.models.maskrcnn.mask_rcnn import MaskRCNN

COCO_URL: str = MaskRCNN_ResNet50_FPN_Weights.COCO_V1.url


def load_coco(model: MaskRCNN, published: Mapping[str, Tensor]) -> None:
    """Take over the weights of torchvision's `maskrcnn_resnet50_fpn` but for its last layers.

    Args:
        model: a `mask_rcnn_r50_fpn` in its pretrained form.
        published: state of torchvision's model, of this or an older version.

    Raises:
        ValueError: they are weights of another network.
    """
    parts: dict[str, nn.Module] = {
        "backbone.": model.backbone,
        "rpn.head.": model.rpn.head,
        "roi_heads.box_head.": model.roi.box_head,
        "roi_heads.mask_head.": model.mask.trunk,
        "roi_heads.mask_predictor.conv5_mask.": model.mask.up,
    }
    for prefix, part in parts.items():
        held = {k.removeprefix(prefix): t for k, t in published.items() if k.startswith(prefix)}
        try:
            part.load_state_dict(held)  # torchvision's modules know their older names
        except RuntimeError as error:
            why = " ".join(str(error).split())  # torch says it in several lines
            raise ValueError(
                "these are not the weights of torchvision's Mask R-CNN R-50: "
                f"{prefix[:-1]} differs ({why})"
            ) from error
    _without_epsilon(model.backbone)


@torch.no_grad()
def _without_epsilon(backbone: nn.Module) -> None:
    """Make frozen norms compute gamma / sqrt(var), as they were trained, in spite of their epsilon.

    torchvision sets the epsilon itself to 0. In the weights it needs no second form of the model.
    """
    for norm in backbone.modules():
        if isinstance(norm, FrozenBatchNorm2d):
            norm.weight.mul_(((norm.running_var + norm.eps) / norm.running_var).sqrt())


def read_coco_weights() -> dict[str, Tensor]:
    """The published weights from torch's cache, fetched where they are not there, and checked.

    Raises:
        ValueError: they can be neither found nor fetched, or are cut short or altered; names the
            file, the address and the folder.
    """
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / COCO_URL.rpartition("/")[2]
    prefix = path.stem.rpartition("-")[2]  # the name ends with the beginning of the SHA-256
    again = f"put {path.name} from {COCO_URL} into {folder}, or choose another --start"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(COCO_URL, str(path), prefix)
        except (URLError, OSError, RuntimeError) as error:
            raise ValueError(
                f"{path}: not there, and could not be fetched ({error}); {again}"
            ) from error
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(prefix):
        raise ValueError(
            f"{path}: cut short or altered (its SHA-256 begins with {digest[:8]} instead of "
            f"{prefix}); delete it and {again}"
        )
    try:
        weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError) as error:
        raise ValueError(f"{path}: holds no weights ({error}); {again}") from error
    return weights
