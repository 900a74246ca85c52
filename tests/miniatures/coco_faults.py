"""Every fault of the validator's list, as an edit of the miniature's document.

Each entry: what is done to the file, then the code, image id, annotation id and a part of the
message that must be reported for it.
"""

import copy
from collections.abc import Callable

from tests.miniatures import coco

Edit = Callable[[dict], None]
NAN, INFINITY = float("nan"), float("inf")


def by_id(document: dict, name: str, number: int) -> dict:
    return next(record for record in document[name] if record["id"] == number)


def change(name: str, number: int, /, **fields: object) -> Edit:
    return lambda document: by_id(document, name, number).update(fields)


def drop(name: str, number: int, *keys: str) -> Edit:
    def edit(document: dict) -> None:
        for key in keys:
            del by_id(document, name, number)[key]

    return edit


def remove(name: str) -> Edit:
    return lambda document: document.pop(name)


def put(name: str, value: object) -> Edit:
    return lambda document: document.update({name: value})


def add(name: str, record: object) -> Edit:
    return lambda document: document[name].append(record)


def again(name: str, number: int, /, **fields: object) -> Edit:
    """Append a copy of a record with other fields."""
    return lambda document: document[name].append(
        {**copy.deepcopy(by_id(document, name, number)), **fields}
    )


def annotation(**fields: object) -> Edit:
    """Change annotation 5, a mask of image 12."""
    return change("annotations", 5, **fields)


def polygon(*numbers: object) -> Edit:
    return annotation(segmentation=[list(numbers)])


def code_of(size: object, counts: object) -> Edit:
    return annotation(segmentation={"size": size, "counts": counts})


SIZE = [coco.HEIGHT, coco.WIDTH]
PIXELS = coco.HEIGHT * coco.WIDTH
BOMB = {"size": [60000, 60000], "counts": "0000000000000000"}
TINY = [2.0, 3.0, 2.1, 3.0, 2.1, 3.1]

Fault = tuple[Edit, str, int | None, int | None, str]

ERRORS: dict[str, Fault] = {
    "no categories": (remove("categories"), "missing-key", None, None, "has no 'categories'"),
    "no images": (remove("images"), "missing-key", None, None, "has no 'images'"),
    "no annotations": (remove("annotations"), "missing-key", None, None, "has no 'annotations'"),
    "categories empty": (put("categories", []), "no-categories", None, None, "is empty"),
    "images empty": (put("images", []), "no-images", None, None, "is empty"),
    "list is no list": (put("images", {}), "wrong-type", None, None, "'images' is dict"),
    "record is no object": (
        add("annotations", 5), "wrong-type", None, None, "annotations[10] is int"),
    "image without file name": (
        drop("images", 7, "file_name"), "missing-key", 7, None, "has no 'file_name'"),
    "image without size": (drop("images", 7, "width"), "missing-key", 7, None, "has no 'width'"),
    "annotation without image": (
        drop("annotations", 5, "image_id"), "missing-key", None, 5, "has no 'image_id'"),
    "annotation without id": (
        drop("annotations", 5, "id"), "missing-key", 12, None, "annotations[0] has no 'id'"),
    "category without name": (
        drop("categories", 17, "name"), "missing-key", None, None, "categories[1] has no 'name'"),
    "id is text": (
        change("images", 100, id="100"), "wrong-type", None, None, "'id' is '100', must be a"),
    "id is NaN": (annotation(id=NAN), "wrong-type", 12, None, "'id' is nan"),
    "id is true": (annotation(id=True), "wrong-type", 12, None, "'id' is True"),
    "name is a number": (
        change("images", 7, file_name=7), "wrong-type", 7, None, "'file_name' is 7, must be text"),
    "iscrowd is 2": (annotation(iscrowd=2), "wrong-type", 12, 5, "'iscrowd' is 2"),
    "annotation id 0": (annotation(id=0), "zero-id", 12, 0, "annotations[0] has id 0"),
    "image id 0": (change("images", 100, id=0), "zero-id", 0, None, "images[8] has id 0"),
    "category id 0": (
        add("categories", {"id": 0, "name": "none"}), "zero-id", None, None, "has id 0"),
    "negative id": (annotation(id=-4), "zero-id", 12, -4, "has id -4"),
    "annotation id twice": (
        again("annotations", 5, image_id=100), "duplicate-id", 100, 5,
        "annotations[10] has id 5, which annotations[0]"),
    "image id twice": (
        again("images", 100, file_name="plain.png"), "duplicate-id", 100, None, "images[8]"),
    "category id twice": (
        add("categories", {"id": 3, "name": "lynx"}), "duplicate-id", None, None, "has id 3"),
    "unknown category": (annotation(category_id=4), "unknown-category", 12, 5, "category 4"),
    "unknown image": (annotation(image_id=13), "unknown-image", 13, 5, "image 13, which is not"),
    "size of nothing": (change("images", 100, width=0), "image-size", 100, None, "0 x 32"),
    "size beyond limits": (
        change("images", 100, width=10**9), "image-size", 100, None, "1000000000 x 32"),
    "box outside": (annotation(bbox=[50, 3, 8, 9]), "box-outside", 12, 5, "[50, 3, 8, 9] leaves"),
    "box reaches out": (annotation(bbox=[35, 3, 30, 9]), "box-outside", 12, 5, "40 x 32 pixels"),
    "box at negative place": (annotation(bbox=[-5, 3, 15, 9]), "box-outside", 12, 5, "leaves"),
    "box empty": (annotation(bbox=[2, 3, 0, 9]), "box-empty", 12, 5, "[2, 3, 0, 9] is empty"),
    "box of negative size": (annotation(bbox=[9, 9, -4, 3]), "box-empty", 12, 5, "is empty"),
    "box of NaN": (annotation(bbox=[2, NAN, 8, 9]), "not-finite", 12, 5, "'bbox' holds nan"),
    "box infinite": (annotation(bbox=[2, 3, INFINITY, 9]), "not-finite", 12, 5, "holds inf"),
    "box of three": (annotation(bbox=[2, 3, 8]), "wrong-type", 12, 5, "must be [x, y, width"),
    "box of text": (annotation(bbox=["2", 3, 8, 9]), "wrong-type", 12, 5, "holds '2'"),
    "box is a number": (annotation(bbox=4), "wrong-type", 12, 5, "'bbox' is 4"),
    "two points": (polygon(1, 1, 5, 5), "polygon-degenerate", 12, 5, "polygon 0 has 4 numbers"),
    "odd polygon": (
        polygon(1, 1, 5, 5, 9, 9, 3), "polygon-degenerate", 12, 5, "polygon 0 has 7 numbers"),
    "empty part": (annotation(segmentation=[[]]), "polygon-degenerate", 12, 5, "has 0 numbers"),
    "polygon of NaN": (polygon(1, 1, 5, NAN, 5, 5), "not-finite", 12, 5, "y = nan is not finite"),
    "polygon infinite": (
        polygon(1, 1, 5, 1, -INFINITY, 5), "not-finite", 12, 5, "x = -inf is not finite"),
    "polygon far away": (
        polygon(1, 1, 1e8, 1, 5, 5), "polygon-coordinates", 12, 5, "x = 100000000.0 lies far"),
    "polygon of text": (polygon(1, 1, 5, "a", 5, 5), "segmentation-type", 12, 5, "holds 'a'"),
    "flat polygon": (
        annotation(segmentation=[1, 1, 5, 1, 5, 5]), "segmentation-type", 12, 5, "one flat list"),
    "segmentation is text": (
        annotation(segmentation="abc"), "segmentation-type", 12, 5, "must be a list of polygons"),
    "polygon covers nothing": (
        annotation(segmentation=[TINY]), "mask-empty", 12, 5, "covers no pixel"),
    "RLE covers nothing": (code_of(SIZE, [PIXELS]), "mask-empty", 12, 5, "covers no pixel"),
    "RLE size swapped": (
        code_of(SIZE[::-1], [10, PIXELS - 10]), "rle-size", 12, 5, "[40, 32] is not the"),
    "RLE without size": (
        annotation(segmentation={"counts": [5]}), "rle-size", 12, 5, "RLE size None"),
    "RLE would explode": (annotation(segmentation=BOMB), "rle-size", 12, 5, "[60000, 60000]"),
    "RLE explodes inside": (
        code_of(SIZE, "0ooooooo1"), "rle-counts", 12, 5, "RLE counts hold"),
    "RLE sums to less": (code_of(SIZE, [10, 20]), "rle-counts", 12, 5, "sum to 30, the image has"),
    "RLE sums to more": (code_of(SIZE, [10, 20, PIXELS]), "rle-counts", 12, 5, "sum to 1310"),
    "RLE run negative": (
        code_of(SIZE, [PIXELS + 5, -5]), "rle-counts", 12, 5, "negative length"),
    "RLE run of NaN": (code_of(SIZE, [NAN, 5]), "rle-counts", 12, 5, "hold nan"),
    "RLE of nonsense": (code_of(SIZE, "\u20ac"), "rle-counts", 12, 5, "not COCO's compressed"),
    "area of NaN": (annotation(area=NAN), "not-finite", 12, 5, "'area' is nan"),
    "area is text": (annotation(area="72"), "wrong-type", 12, 5, "'area' is '72'"),
    "point outside": (annotation(point=[41, 3]), "point-outside", 12, 5, "[41, 3] lies outside"),
    "point of NaN": (annotation(point=[NAN, 3]), "not-finite", 12, 5, "'point' holds nan"),
    "point of three": (annotation(point=[1, 2, 3]), "wrong-type", 12, 5, "'point' is [1, 2, 3]"),
    "neither box nor mask": (
        drop("annotations", 5, "bbox", "segmentation"), "kind-missing", 12, 5,
        "nothing but its category; at least a box is needed"),
    "name leaves the folder": (
        change("images", 100, file_name="../annotations.json"), "path-outside", 100, None,
        "leads out of the image folder"),
    "name is absolute": (
        change("images", 100, file_name="/etc/hostname"), "path-outside", 100, None, "/etc/host"),
    "name holds a zero byte": (
        change("images", 100, file_name="a\0b"), "path-outside", 100, None, "zero byte"),
    "all crowd": (
        lambda document: [one.update(iscrowd=1) for one in document["annotations"]],
        "all-crowd", None, None, "all 10 annotations are crowd regions"),
    "nothing labelled": (
        put("annotations", []), "no-annotation", None, None, "holds no annotation at all"),
    "fractions": (
        lambda document: [
            one.update(bbox=[0.1, 0.2, 0.3, 0.4], segmentation=[], area=None)
            for one in document["annotations"]],
        "fractions", None, None, "10 of 10 annotations lie within 0..1"),
    "image missing": (
        change("images", 100, file_name="gone.png"), "image-missing", 100, None, "no such file"),
    "size differs": (
        change("images", 100, height=31), "size-differs", 100, None,
        "has 40 x 32 pixels, the record says 40 x 31"),
    "names alike": (
        change("categories", 90, name="cat"), "duplicate-name", None, None, "3 and 90 share"),
    "names alike but for spaces": (
        change("categories", 90, name=" cat"), "duplicate-name", None, None, "3 and 90 share"),
    "blank name": (
        change("categories", 90, name=" "), "blank-name", None, None, "90 has the blank name ' '"),
}  # fmt: skip

WARNINGS: dict[str, Fault] = {
    "area differs": (annotation(area=900), "area-differs", 12, 5, "900, its mask has 72 pixels"),
    "box misses its mask": (
        annotation(bbox=[20, 20, 8, 9]), "box-differs", 12, 5, "misses its mask's box [2, 3"),
    "said twice": (
        again("annotations", 5, id=600), "duplicate-annotation", 12, 600, "as annotation 5"),
    "file declared twice": (
        again("images", 100, id=101), "duplicate-file", 101, None, "images 100 and 101"),
    "only a box": (
        annotation(segmentation=[]), "kind-weaker", 12, 5, "has a box, not a mask"),
    "orphan": (
        lambda document: document["images"].pop(), "orphan-image", None, None, "1 image files"),
}  # fmt: skip
