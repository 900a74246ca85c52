"""What labelling one image costs, by kind.

Prices are per image on the scale of WISH (Kweon and Yoon, CVPR 2025): tag 1, point 6, box 12. That
scale has no masks, so `MASK_PRICE` is ours. Cheng et al. (Pointly-Supervised Instance Segmentation,
CVPR 2022, introduction) give two times for one object: 79.2 s for a polygon on COCO, 7 s for a box
by extreme clicks. Both are paid once per object, so their ratio also holds per image, and
12 x 79.2 / 7 = 135.8, rounded to 136.

This is the highest of three estimates, and a reader should know the others. Bearman et al. (What's
the Point, ECCV 2016) took 239.7 s for the full masks of a VOC image, against 22.1 s for points and
20 s for tags (one second for each of 20 categories). On the point's price that makes a mask
6 x 239.7 / 22.1 = 65, on the tag's 1 x 239.7 / 20 = 12: WISH's tags are far cheaper beside its
boxes than Bearman's. We tie masks to boxes because both are work per object. Whatever rests on the
price of a mask should be shown for 65 as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from wsislib.data.sample import LabelKind

MASK_SECONDS = 79.2  # per object, polygon, COCO (Cheng et al., after Lin et al. 2014)
BOX_SECONDS = 7.0  # per object, by extreme clicks (Cheng et al., after Papadopoulos et al. 2017)
BOX_PRICE = 12.0
MASK_PRICE = float(round(BOX_PRICE * MASK_SECONDS / BOX_SECONDS))


@dataclass(frozen=True)
class Prices:
    """What labelling one image costs, by kind; the unit is one image's tags.

    Raises:
        ValueError: a price that is not a positive finite number.
    """

    tag: float = 1.0
    point: float = 6.0
    box: float = BOX_PRICE
    mask: float = MASK_PRICE

    def __post_init__(self) -> None:
        for field in fields(self):
            price = getattr(self, field.name)
            if not (math.isfinite(price) and price > 0):
                raise ValueError(f"price of a {field.name} is {price}; it must be above 0")

    def of(self, kind: LabelKind) -> float:
        """The price of one image labelled in `kind`."""
        return float(getattr(self, LabelKind(kind).name.lower()))
