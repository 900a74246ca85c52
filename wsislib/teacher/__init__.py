"""A frozen teacher's candidate masks: computed once, cached, and read beside weak labels.

`teacher_cache.TeacherCache` is the cache on disk and `caching.cache_candidates` the pass that
fills it. `teaching.TeachingDataset` reads labels with their candidates from it,
`teaching.PseudoMaskDataset` takes the best candidate as the mask, and `pseudo_labels` writes such
masks as a COCO file.
"""
