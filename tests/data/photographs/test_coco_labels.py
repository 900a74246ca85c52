"""One rule for files that mix masks, boxes, points and tags."""

import pytest
import torch

from tests.miniatures.coco import HEIGHT, WIDTH, rectangle_polygon
from wsislib.data.photographs.coco_labels import annotation_kind, label_of
from wsislib.data.rle import MAX_INSTANCES
from wsislib.data.sample import Label, LabelKind, Sample

INDEX = {3: 0, 17: 1, 90: 2}
MASK = {"segmentation": [rectangle_polygon(2, 3, 10, 12)], "bbox": [2.0, 3.0, 8.0, 9.0]}
BOX = {"bbox": [10.0, 10.0, 5.5, 6.0], "segmentation": []}
POINT = {"point": [20.5, 7.5]}
TAG: dict = {}


def annotations(*contents: dict, categories: tuple[int, ...] = (3, 17, 90, 3)) -> list[dict]:
    return [
        {"id": i + 1, "image_id": 8, "category_id": category, **content}
        for i, (content, category) in enumerate(zip(contents, categories, strict=False))
    ]


def read(*contents: dict, kind: LabelKind = LabelKind.MASK, **options: tuple) -> Label:
    label = label_of(annotations(*contents, **options), HEIGHT, WIDTH, INDEX, kind)
    Sample(torch.zeros(3, HEIGHT, WIDTH), 8, label).check(3)
    return label


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (MASK, LabelKind.MASK),
        ({"segmentation": {"size": [1, 1], "counts": [1]}}, LabelKind.MASK),
        (BOX, LabelKind.BOX),
        ({**BOX, **POINT}, LabelKind.BOX),
        ({**POINT, "bbox": None}, LabelKind.POINT),
        (TAG, LabelKind.TAG),
        ({"segmentation": None, "bbox": [], "point": []}, LabelKind.TAG),
    ],
)
def test_an_annotation_carries_what_it_has(content: dict, kind: LabelKind) -> None:
    assert annotation_kind(content) == kind


@pytest.mark.parametrize(
    ("content", "kind"),
    [(MASK, LabelKind.MASK), (BOX, LabelKind.BOX), (POINT, LabelKind.POINT), (TAG, LabelKind.TAG)],
)
def test_alike_annotations_need_no_kinds(content: dict, kind: LabelKind) -> None:
    label = read(content, content)
    assert label.kind == kind
    assert label.kinds is None
    assert label.categories.tolist() == [0, 1]


def test_masks_and_boxes_are_partial_supervision() -> None:
    label = read(MASK, BOX)
    assert label.kind == LabelKind.BOX
    assert label.kinds.tolist() == [LabelKind.MASK, LabelKind.BOX]
    assert label.has_mask.tolist() == [True, False]
    assert label.boxes.tolist() == [[2, 3, 10, 12], [10, 10, 15.5, 16]]
    assert label.masks[0].sum() == 72
    assert not label.masks[1].any()


def test_all_four_kinds_in_one_image() -> None:
    label = read(MASK, BOX, POINT, TAG)
    assert label.kind == LabelKind.TAG
    assert label.kinds.tolist() == [3, 2, 1, 0]
    assert label.points.tolist() == [[0, 0], [0, 0], [20.5, 7.5], [0, 0]]
    assert label.boxes[2:].eq(0).all()


def test_a_tag_counts_once() -> None:
    label = read(TAG, TAG, TAG, categories=(17, 3, 17))
    assert label.categories.tolist() == [1, 0]


def test_a_lower_ceiling_leaves_out_what_is_beyond_it() -> None:
    boxes = read(MASK, BOX, kind=LabelKind.BOX)
    assert (boxes.kind, boxes.kinds, boxes.masks) == (LabelKind.BOX, None, None)
    tags = read(MASK, BOX, MASK, categories=(3, 17, 3), kind=LabelKind.TAG)
    assert tags.categories.tolist() == [0, 1]
    assert (tags.points, tags.boxes, tags.masks) == (None, None, None)
    points = read({**MASK, **POINT}, POINT, kind=LabelKind.POINT)
    assert (points.kind, points.kinds, points.boxes) == (LabelKind.POINT, None, None)
    assert points.points.tolist() == [[20.5, 7.5]] * 2


def test_points_are_never_made_up() -> None:
    with pytest.raises(ValueError, match="annotation 1 has a MASK but no `point`"):
        read(MASK, kind=LabelKind.POINT)


@pytest.mark.parametrize("kind", list(LabelKind))
def test_no_annotations_mean_nothing_is_there(kind: LabelKind) -> None:
    label = read(kind=kind)
    assert label.kind == kind
    assert len(label) == 0


def test_a_missing_or_useless_box_is_taken_from_the_mask() -> None:
    for bbox in (None, [], [3.0, 3.0, 0.0, 2.0], [500.0, 1.0, 5.0, 5.0]):
        label = read({**MASK, "bbox": bbox})
        assert label.boxes.tolist() == [[2, 3, 10, 12]]


def test_boxes_are_clipped_to_the_image() -> None:
    label = read({"bbox": [-1.0, -0.5, 60.0, 20.0]})
    assert label.boxes.tolist() == [[0, 0, WIDTH, 19.5]]
    with pytest.raises(ValueError, match="annotation 1: box .* has nothing inside"):
        read({"bbox": [50.0, 5.0, 4.0, 4.0]})


def test_too_many_masks_are_refused() -> None:
    many = annotations(TAG, categories=(3,)) * (MAX_INSTANCES + 1)
    with pytest.raises(ValueError, match=f"{MAX_INSTANCES + 1} instances"):
        label_of(many, HEIGHT, WIDTH, INDEX)
    with pytest.raises(ValueError, match="bytes of masks"):
        label_of([MASK] * 1000, 9000, 9000, INDEX)
