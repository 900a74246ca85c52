"""Instance segmentation from labels cheaper than masks: the library under the study book.

What a training script starts from, by name; each is loaded when it is first asked for, so that
`import wsislib` and `wsis --help` do not wait for PyTorch. Every sub-package lists its own names.

    from wsislib import CocoDataset, TrainConfig, fit, mask2former_small
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "wsislib.data": ("Category", "Dataset", "Detections", "Label", "LabelKind", "Model", "Sample"),
    "wsislib.data.photographs.coco": ("CocoDataset",),
    "wsislib.data.world": ("World", "WorldDataset", "WorldSpec"),
    "wsislib.labels.datasets": ("PartialDataset", "WeakDataset"),
    "wsislib.models.maskrcnn.builders": (
        "mask_rcnn_small", "mask_rcnn_r50_fpn", "maskx_rcnn_lab", "maskx_rcnn_r50_fpn",
    ),
    "wsislib.models.mask2former.builders": ("mask2former_small", "mask2former_r50"),
    "wsislib.models.wish.builders": ("wish_loss_weights", "wish_small", "wish_r50"),
    "wsislib.models.sam.sam_weights": ("load_sam",),
    "wsislib.teacher.caching": ("cache_candidates",),
    "wsislib.teacher.teaching": ("TeachingDataset",),
    "wsislib.engine.config": ("TrainConfig",),
    "wsislib.engine.train": ("fit",),
    "wsislib.engine.predict": ("predict_all",),
    "wsislib.engine.evaluate": ("coco_ap",),
}  # fmt: skip
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = ["__version__", *_HOME_OF]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'wsislib' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)
