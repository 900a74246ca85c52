"""From files or a seed to samples.

`sample` holds the data contract; `transforms` moves a sample, `images` reads photographs (`pixels`
and `turns` say how), `picture_cache` keeps large ones scaled down, `rle` reads and writes masks and
`mask_runs` holds many of a large image. Data sets are in `world` (drawn), `photographs` (COCO,
PASCAL VOC) and `visual_genome`.
"""

from wsislib.data.sample import Category, Dataset, Detections, Label, LabelKind, Model, Sample

__all__ = ["Category", "Dataset", "Detections", "Label", "LabelKind", "Model", "Sample"]
