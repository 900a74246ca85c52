"""Tiles: the whole photograph is seen, and an object on a border is found once."""

import numpy as np
import pytest
import torch

from wsislib.data.rle import decode_segmentation
from wsislib.data.sample import Category, WindowDetection
from wsislib.data.tiles import tiles_of
from wsislib.engine.predict import predict_image
from wsislib.photos.tiles import join_pieces

CATEGORIES = (Category(1, "red"), Category(2, "blue"))


class Colours:
    """A model that finds every connected pure red or blue region of what it is shown."""

    def predict_windows(self, image):
        from scipy.ndimage import find_objects, label

        for category, channel in ((0, 0), (1, 2)):
            regions, _ = label(image[channel].numpy() > 0.9)
            for number, (rows, columns) in enumerate(find_objects(regions), start=1):
                box = [columns.start, rows.start, columns.stop, rows.stop]
                mask = torch.from_numpy(regions[rows, columns] == number)
                score = float(mask.sum()) / (1000 + float(mask.sum()))
                yield WindowDetection(
                    torch.tensor(box, dtype=torch.float32), score, category, rows.start,
                    columns.start, mask,
                )  # fmt: skip


def find(image, side, overlap):
    height, width = image.shape[1:]
    tiles = tiles_of(height, width, side, overlap)
    results = [
        predict_image(Colours(), image[:, t.top : t.bottom, t.left : t.right], 1, CATEGORIES,
                      (t.top, t.left), (height, width))
        for t in tiles
    ]  # fmt: skip
    return join_pieces(results, tiles), sum(map(len, results))


def scene():
    """Objects on borders and corners of tiles, larger than a tile, touching, and one in another."""
    image = torch.zeros(3, 300, 400)
    shapes = [
        (0, 90, 120, 90, 130), (0, 10, 20, 95, 100), (2, 60, 260, 200, 210), (0, 150, 170, 20, 380),
        (2, 30, 60, 60, 90), (2, 30, 60, 91, 130), (0, 200, 290, 250, 390), (2, 220, 240, 290, 330),
    ]  # fmt: skip
    for channel, top, bottom, left, right in shapes:
        image[:, top:bottom, left:right] = 0
        image[channel, top:bottom, left:right] = 1
    return image


@pytest.mark.parametrize(("side", "overlap"), [(100, 0.25), (128, 0.1), (64, 0.5), (1000, 0.2)])
def test_every_object_is_found_once_and_whole(side, overlap):
    image = scene()
    found, pieces = find(image, side, overlap)
    whole = predict_image(Colours(), image, 1, CATEGORIES)
    assert side == 1000 or pieces > len(whole)
    assert len(found) == len(whole)
    masks = {
        decode_segmentation(r["segmentation"], 300, 400).tobytes(): r for r in found
    }  # fmt: skip
    for result in whole:
        twin = masks[decode_segmentation(result["segmentation"], 300, 400).tobytes()]
        assert (twin["category_id"], twin["bbox"]) == (result["category_id"], result["bbox"])
    scores = [result["score"] for result in found]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("height", "width", "side", "overlap"),
    [(4000, 6000, 1024, 0.25), (50, 70, 64, 0.3), (1, 999, 32, 0.9)],
)
def test_tiles_cover_and_overlap(height, width, side, overlap):
    tiles = tiles_of(height, width, side, overlap)
    seen = np.zeros((height, width), dtype=np.uint8)
    for tile in tiles:
        assert 0 <= tile.top < tile.bottom <= height and 0 <= tile.left < tile.right <= width
        assert max(tile.bottom - tile.top, tile.right - tile.left) <= side
        seen[tile.top : tile.bottom, tile.left : tile.right] = 1
    assert seen.all()
    lefts = sorted({tile.left for tile in tiles})
    for one, other in zip(lefts, lefts[1:], strict=False):
        assert one + side - other >= int(overlap * side)
    assert len(tiles) <= 2 + 2 * height * width / (side * (1 - overlap)) ** 2 + width


def test_tiles_that_cannot_be_meant_are_refused():
    for side, overlap in ((8, 0.2), (512, 0.0), (512, 0.95), (512, float("nan"))):
        with pytest.raises(ValueError, match="--tile"):
            tiles_of(100, 100, side, overlap)
