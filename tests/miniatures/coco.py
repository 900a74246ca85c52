"""A COCO-format folder of a few kilobytes that holds every feature of the format.

Masks are rectangles, or known pixel sets, so that tests know the truth without a decoder.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as mask_api

from wsisbook.plan.dry_run_data import coco_document, smooth_image

HEIGHT, WIDTH = 32, 40
CATEGORIES = ((3, "cat"), (17, "dog"), (90, "toothbrush"))
# image id -> file; ids have gaps and are not in order.
FILES = {
    12: "plain.png",
    7: "photo.jpg",
    40: "deep/grey.png",
    41: "cmyk.jpg",
    42: "alpha.png",
    43: "palette.png",
    44: "sixteen.png",
    99: "turned.jpg",
    100: "empty.png",
}


def rectangle(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[y0:y1, x0:x1] = True
    return mask


def rectangle_polygon(x0: int, y0: int, x1: int, y1: int) -> list[float]:
    return [float(value) for value in (x0, y0, x1, y0, x1, y1, x0, y1)]


def uncompressed(mask: np.ndarray) -> dict:
    """Runs counted one pixel after the other, column by column."""
    counts, value, run = [], False, 0
    for pixel in mask.T.ravel().tolist():
        if pixel != value:
            counts.append(run)
            value, run = pixel, 0
        run += 1
    return {"size": list(mask.shape), "counts": [*counts, run]}


def compressed(mask: np.ndarray) -> dict:
    rle = mask_api.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(mask.shape), "counts": rle["counts"].decode()}


def truth() -> dict[int, np.ndarray]:
    """The mask of each annotation."""
    ring = rectangle(20, 4, 36, 20) & ~rectangle(24, 8, 30, 16)
    return {
        5: rectangle(2, 3, 10, 12),
        6: rectangle(4, 20, 12, 28) | rectangle(16, 22, 20, 30),
        9: ring,
        21: rectangle(0, 0, 40, 2),
        22: rectangle(8, 8, 20, 24),
        30: rectangle(1, 1, 9, 9),
        31: rectangle(30, 20, 40, 32),
        32: rectangle(5, 5, 25, 25),
        33: rectangle(10, 10, 11, 11),
        34: rectangle(0, 0, 20, 16),
    }


def document() -> dict:
    masks = truth()
    shapes = {
        5: (12, 3, [rectangle_polygon(2, 3, 10, 12)]),
        6: (12, 90, [rectangle_polygon(4, 20, 12, 28), rectangle_polygon(16, 22, 20, 30)]),
        9: (12, 17, uncompressed(masks[9])),
        21: (7, 3, uncompressed(masks[21])),
        22: (7, 17, compressed(masks[22])),
        30: (40, 3, [rectangle_polygon(1, 1, 9, 9)]),
        31: (41, 90, compressed(masks[31])),
        32: (42, 17, uncompressed(masks[32])),
        33: (43, 3, [rectangle_polygon(10, 10, 11, 11)]),
        34: (44, 90, [rectangle_polygon(0, 0, 20, 16)]),
    }
    annotations = {}
    for number, (image_id, category_id, segmentation) in shapes.items():
        rows, columns = np.nonzero(masks[number])
        x, y = int(columns.min()), int(rows.min())
        box = [float(x), float(y), float(columns.max() + 1 - x), float(rows.max() + 1 - y)]
        area = int(masks[number].sum())
        crowd = int(number == 21)
        annotations[number] = (image_id, category_id, crowd, box, area, segmentation)
    return coco_document(FILES, (WIDTH, HEIGHT), annotations, CATEGORIES)


def pixels(image_id: int) -> np.ndarray:
    """The (H, W, 3) uint8 content that every image is made from."""
    return np.array(smooth_image(np.random.default_rng(image_id), (WIDTH, HEIGHT), (3, 3)))


def write_images(root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    (root / "deep").mkdir(exist_ok=True)
    for image_id, name in FILES.items():
        image = Image.fromarray(pixels(image_id))
        if name == "deep/grey.png":
            image = image.convert("L")
        elif name == "cmyk.jpg":
            image = image.convert("CMYK")
        elif name == "alpha.png":
            image.putalpha(Image.new("L", image.size, 100))
        elif name == "palette.png":
            image = image.quantize(16)
            image.info["transparency"] = bytes(range(16))
        elif name == "sixteen.png":
            grey = np.asarray(image.convert("L"), dtype=np.uint16)
            image = Image.fromarray(grey * 257)
        options: dict = {"quality": 95} if name.endswith(".jpg") else {}
        if name == "turned.jpg":
            exif = Image.Exif()
            exif[0x0112] = 3  # stored upside down
            image, options["exif"] = image.rotate(180), exif.tobytes()
        image.save(root / name, **options)


def write(folder: Path, content: dict | None = None) -> Path:
    """Write images and annotations; returns the JSON file (images lie beside it)."""
    write_images(folder / "images")
    path = folder / "annotations.json"
    path.write_text(json.dumps(document() if content is None else content))
    return path
