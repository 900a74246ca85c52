"""Masks by GrabCut of drawn discs on noise, at the settings that the study uses."""

import numpy as np


def grabcut() -> dict[str, float | str]:
    """Pixels and centres of masks: a clear disc, one under another, boxes at the border."""
    from wsislib.labels.grabcut import grabcut_mask

    y, x = np.mgrid[:64, :80]
    image = np.random.default_rng(3).integers(0, 60, (64, 80, 3)).astype(np.uint8)
    for column, row, radius, colour in ((20, 30, 12, (220, 40, 40)), (52, 30, 18, (40, 90, 220))):
        image[(x - column) ** 2 + (y - row) ** 2 < radius**2] = colour
    image[(x - 60) ** 2 + (y - 40) ** 2 < 8**2] = (60, 200, 60)
    boxes = {
        "clear": (8.2, 18.4, 32.9, 42.7),
        "covered": (34, 12, 70, 48),
        "covering": (52, 32, 68, 48),
        "border": (40, 0, 80, 64),
        "nothing": (0, 0, 6, 6),
    }
    numbers: dict[str, float | str] = {}
    for name, box in boxes.items():
        mask = grabcut_mask(image, box)
        numbers[f"{name}.pixels"] = float(mask.sum())
        numbers[f"{name}.column"] = float(mask.nonzero()[1].mean())
    return numbers
