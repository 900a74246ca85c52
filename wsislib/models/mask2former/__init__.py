"""Mask2Former for instances: pixel decoder, query decoder and what they need."""

from wsislib.models.mask2former.builders import (
    COST_WEIGHTS,
    LOSS_WEIGHTS,
    mask2former_lab,
    mask2former_r50,
    mask2former_small,
)
from wsislib.models.mask2former.mask2former import Mask2Former
from wsislib.models.mask2former.preprocess import ImageBatch, Preprocess
from wsislib.models.mask2former.query_decoder import Predictions, QueryDecoder
from wsislib.models.mask2former.query_inference import detect

__all__ = [
    "COST_WEIGHTS", "ImageBatch", "LOSS_WEIGHTS", "Mask2Former", "Predictions", "Preprocess",
    "QueryDecoder", "detect", "mask2former_lab", "mask2former_r50", "mask2former_small"
]  # fmt: skip
