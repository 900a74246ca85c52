"""`wsis data tile`: large photographs with labels, cut into overlapping tiles."""

from __future__ import annotations

from pathlib import Path

from wsislib.cli import DONE


def tile(
    annotations: Path,
    /,
    *,
    out: Path,
    images: Path | None = None,
    side: int = 1024,
    overlap: float = 0.2,
) -> int:
    """Cut large photographs and their labels into tiles, for small objects or too many of them.

    Train on the tiles, and predict with `wsis predict --tile` of the same side.

    Args:
        annotations: COCO JSON file with points, boxes or masks.
        out: a new folder; gets images/* and annotations.json.
        images: folder that the file names are relative to; `images` beside the annotations
            where not given.
        side: of a tile in pixels.
        overlap: of neighbouring tiles, as a share of their side; best as wide as an object.
    """
    from tqdm import tqdm

    from wsislib.data.photographs.tile_coco import LEAST_SHARE, tile_coco

    root = images or annotations.parent / "images"
    tiles, labels, small = tile_coco(
        annotations, root, out, side, overlap,
        lambda records: tqdm(records, unit="image", disable=None),
    )  # fmt: skip
    print(f"{tiles} tiles with {labels} annotations: {out / 'annotations.json'}")
    if small:
        print(f"left out: {small} pieces with less than {LEAST_SHARE:.0%} of their object")
    return DONE
