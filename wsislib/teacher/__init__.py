"""A frozen teacher's candidate masks: computed once, cached, and read beside weak labels.

`TeacherCache` is the cache on disk and `cache_candidates` the pass that fills it.
`TeachingDataset` reads labels with their candidates from it, `PseudoMaskDataset` takes the best
candidate as the mask, and `pseudo_labels` writes such masks as a COCO file.
"""

from wsislib.teacher.caching import CacheStats, cache_candidates
from wsislib.teacher.teacher_cache import TeacherCache
from wsislib.teacher.teaching import PseudoMaskDataset, TeachingDataset, pseudo_masks

__all__ = [
    "CacheStats",
    "PseudoMaskDataset",
    "TeacherCache",
    "TeachingDataset",
    "cache_candidates",
    "pseudo_masks",
]
