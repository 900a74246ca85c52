"""Every way to break the data contract gives one error with image id and entry."""

from dataclasses import replace

import pytest
import torch

from wsislib.data.sample import Candidates, Label, LabelKind, Sample

SIZE = (6, 8)  # height, width


def image() -> torch.Tensor:
    return torch.full((3, *SIZE), 0.5)


def boxes() -> torch.Tensor:
    return torch.tensor([[1.0, 1.0, 4.0, 4.0], [0.0, 2.0, 8.0, 6.0]])


def points() -> torch.Tensor:
    return torch.tensor([[2.5, 2.5], [8.0, 6.0]])


def masks() -> torch.Tensor:
    out = torch.zeros(2, *SIZE, dtype=torch.bool)
    out[0, 1:4, 1:4] = True
    out[1, 2:6] = True
    return out


def label(kind: LabelKind, **changes: object) -> Label:
    fields: dict = {"categories": torch.tensor([0, 4])}
    if kind == LabelKind.POINT:
        fields["points"] = points()
    if kind >= LabelKind.BOX:
        fields["boxes"] = boxes()
    if kind == LabelKind.MASK:
        fields["masks"] = masks()
    return Label(kind, **{**fields, **changes})


def mixed() -> Label:
    """A box on both, a mask on the first only."""
    half = masks()
    half[1] = False
    kinds = torch.tensor([3, 2], dtype=torch.uint8)
    return label(LabelKind.BOX, masks=half, kinds=kinds)


def ladder() -> Label:
    """Four entries, one of each kind."""
    tall = torch.zeros(4, 4)
    tall[2:] = boxes()
    some = torch.zeros(4, *SIZE, dtype=torch.bool)
    some[3] = masks()[1]
    return Label(
        LabelKind.TAG,
        torch.tensor([2, 2, 2, 2]),
        points=torch.tensor([[0.0, 0.0], [2.5, 2.5], [0.0, 0.0], [0.0, 0.0]]),
        boxes=tall,
        masks=some,
        kinds=torch.tensor([0, 1, 2, 3], dtype=torch.uint8),
    )


@pytest.mark.parametrize(
    "good",
    [
        *(label(kind) for kind in LabelKind),
        label(LabelKind.BOX, points=points()),
        label(LabelKind.MASK, points=points()),
        mixed(),
        ladder(),
        Label(LabelKind.TAG, torch.zeros(0, dtype=torch.int64)),
        Label(
            LabelKind.MASK,
            torch.zeros(0, dtype=torch.int64),
            boxes=torch.zeros(0, 4),
            masks=torch.zeros(0, *SIZE, dtype=torch.bool),
        ),
    ],
)
def test_good_labels_pass(good: Label) -> None:
    sample = Sample(image(), 31, good)
    assert sample.check(5) is sample


def test_limits_are_part_of_what_is_allowed() -> None:
    """Black and white pixels, id 1, and an object that fills the image."""
    extreme = torch.zeros(3, *SIZE)
    extreme[0] = 1
    whole = Label(
        LabelKind.MASK,
        torch.tensor([4]),
        boxes=torch.tensor([[0.0, 0.0, 8.0, 6.0]]),
        masks=torch.ones(1, *SIZE, dtype=torch.bool),
    )
    Sample(extreme, 1, whole).check(5)


def with_nan() -> torch.Tensor:
    out = image()
    out[1, 2, 3] = torch.nan
    return out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_id": 0}, "image id 0: must be a positive integer"),
        ({"image_id": True}, "image id True"),
        ({"image_id": "7"}, "image id '7'"),
        ({"image": image()[0]}, r"image 31: must be \(3, H, W\), is \(6, 8\)"),
        ({"image": torch.zeros(4, *SIZE)}, r"is \(4, 6, 8\)"),
        ({"image": torch.zeros(3, 0, 8)}, r"is \(3, 0, 8\)"),
        ({"image": image().double()}, "image 31: must be float32, is torch.float64"),
        ({"image": image() * 255}, "image 31: values must lie in 0..1"),
        ({"image": image() - 1}, "are -0.5..-0.5"),
        ({"image": with_nan()}, "image 31: values must lie in 0..1 and be finite, are nan..nan"),
        ({"image": None}, "image 31: must be a tensor, is NoneType"),
    ],
)
def test_bad_images(changes: dict, message: str) -> None:
    sample = replace(Sample(image(), 31, label(LabelKind.TAG)), **changes)
    with pytest.raises(ValueError, match=message):
        sample.check()


def edited(tensor: torch.Tensor, index: tuple, value: float) -> torch.Tensor:
    tensor[index] = value
    return tensor


KINDS = torch.tensor([3, 2], dtype=torch.uint8)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (Label(3, torch.tensor([0])), "label kind must be a LabelKind, is 3"),
        (
            label(LabelKind.TAG, categories=torch.tensor([0, 5])),
            "category index 5 is outside 0..4$",
        ),
        (label(LabelKind.TAG, categories=torch.tensor([-1, 2])), "entry 0: category index -1"),
        (label(LabelKind.TAG, categories=torch.tensor([0.0])), "categories must be torch.int64"),
        (label(LabelKind.TAG, categories=torch.tensor([[0]])), r"categories must have shape \(K\)"),
        (label(LabelKind.TAG, categories=torch.tensor([2, 2])), "entry 1: tag .* repeats entry 0"),
        (label(LabelKind.TAG, points=points()), "kind TAG carries points"),
        (label(LabelKind.TAG, masks=masks()), "kind TAG carries masks"),
        (label(LabelKind.POINT, boxes=boxes()), "kind POINT carries boxes"),
        (label(LabelKind.BOX, masks=masks()), "kind BOX carries masks"),
        (label(LabelKind.POINT, points=None), "label of kind POINT has no points"),
        (label(LabelKind.BOX, boxes=None), "label of kind BOX has no boxes"),
        (label(LabelKind.MASK, boxes=None), "label of kind MASK has no boxes"),
        (label(LabelKind.MASK, masks=None), "label of kind MASK has no masks"),
        (label(LabelKind.POINT, points=points()[:1]), r"points must have shape \(2, 2\)"),
        (label(LabelKind.POINT, points=points().double()), "points must be torch.float32"),
        (label(LabelKind.POINT, points=[[1, 1], [2, 2]]), "points must be a tensor, is list"),
        (
            label(LabelKind.POINT, points=edited(points(), (1, 0), 8.5)),
            r"entry 1: point \(8.5, 6\) lies outside the image of 8 x 6",
        ),
        (label(LabelKind.POINT, points=edited(points(), (0, 1), -1)), "entry 0: point"),
        (label(LabelKind.POINT, points=edited(points(), (0, 0), torch.nan)), "entry 0: point"),
        (label(LabelKind.BOX, boxes=boxes()[:, :3]), r"boxes must have shape \(2, 4\)"),
        (label(LabelKind.BOX, boxes=boxes().long()), "boxes must be torch.float32"),
        (
            label(LabelKind.BOX, boxes=edited(boxes(), (1, 3), 6.5)),
            "entry 1: box .* leaves the image of 8 x 6",
        ),
        (
            label(LabelKind.BOX, boxes=edited(boxes(), (0, 0), -0.5)),
            "entry 0: box .* leaves the image of 8 x 6",
        ),
        (
            label(LabelKind.BOX, boxes=edited(boxes(), (0, 2), torch.nan)),
            "entry 0: box .* not fini",
        ),
        (
            label(LabelKind.BOX, boxes=edited(boxes(), (0, 2), torch.inf)),
            "entry 0: box .* not fini",
        ),
        (label(LabelKind.BOX, boxes=edited(boxes(), (0, 2), 1.0)), "entry 0: box .* is empty"),
        (label(LabelKind.BOX, boxes=edited(boxes(), (1, 1), 6.0)), "entry 1: box .* is empty"),
        (label(LabelKind.MASK, masks=masks()[:, :5]), r"masks must have shape \(2, 6, 8\)"),
        (label(LabelKind.MASK, masks=masks().to(torch.uint8)), "masks must be torch.bool"),
        (label(LabelKind.MASK, masks=edited(masks(), (0,), False)), "entry 0: mask is empty"),
        (replace(mixed(), kinds=KINDS.long()), "kinds must be torch.uint8"),
        (replace(mixed(), kinds=KINDS[:1]), r"kinds must have shape \(2\)"),
        (replace(mixed(), kinds=KINDS + 2), "entry 0: kinds holds 5"),
        (replace(mixed(), kinds=KINDS - 1), "entry 1: its kind POINT is lower .* kind BOX"),
        (replace(mixed(), masks=None), "entry 0: label of kind MASK has no masks"),
        (replace(mixed(), masks=masks()), "entry 1: mask must be all False"),
        (replace(mixed(), masks=masks() & False), "entry 0: mask is empty"),
        (replace(ladder(), boxes=None), "entry 2: label of kind BOX has no boxes"),
        (replace(ladder(), points=None), "entry 1: label of kind POINT has no points"),
        (replace(ladder(), boxes=edited(ladder().boxes, (0, 3), 1.0)), "entry 0: box .* all 0"),
    ],
)
def test_bad_labels(bad: Label, message: str) -> None:
    with pytest.raises(ValueError, match=f"^image 31: .*{message}"):
        Sample(image(), 31, bad).check(5)


def test_category_range_is_only_checked_where_it_is_known() -> None:
    Sample(image(), 31, label(LabelKind.TAG, categories=torch.tensor([0, 500]))).check()


def offered(count: int = 2, size: tuple[int, int] = SIZE) -> Candidates:
    return Candidates(torch.zeros(count, 3, *size, dtype=torch.bool), torch.full((count, 3), 0.5))


@pytest.mark.parametrize("kind", [LabelKind.POINT, LabelKind.BOX, LabelKind.MASK])
def test_sound_candidates_pass(kind: LabelKind) -> None:
    Sample(image(), 3, label(kind, candidates=offered())).check(5)


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        (offered(1), r"candidates.quality must have shape \(2, M\), has \(1, 3\)"),
        (replace(offered(), masks=offered(1).masks), r"candidates.masks must .* \(2, 3, 6, 8\)"),
        (offered(size=(8, 6)), r"candidates.masks must have shape \(2, 3, 6, 8\)"),
        (replace(offered(), masks=offered().masks.float()), "candidates.masks must be torch.bool"),
        (replace(offered(), quality=offered().quality.double()), "quality must be torch.float32"),
        (replace(offered(), quality=torch.zeros(2, 0)), "at least one an entry"),
        (
            replace(offered(), quality=torch.tensor([[0.5] * 3, [0.5, torch.nan, 0.5]])),
            "entry 1: quality nan of candidate 1 must be finite",
        ),
        (
            replace(offered(), quality=torch.tensor([[0.5, 0.5, 1.25], [0.5] * 3])),
            "entry 0: quality 1.25 of candidate 2",
        ),
    ],
)
def test_unsound_candidates_are_refused(candidates: Candidates, message: str) -> None:
    with pytest.raises(ValueError, match=f"^image 3: .*{message}"):
        Sample(image(), 3, label(LabelKind.BOX, candidates=candidates)).check()


def test_tags_have_no_candidates() -> None:
    nothing = Sample(image(), 3, label(LabelKind.TAG, candidates=offered())).check()
    some = replace(offered(), masks=~offered().masks)
    with pytest.raises(ValueError, match="image 3: entry 0: a tag has no candidates"):
        replace(nothing, label=replace(nothing.label, candidates=some)).check()


def test_candidates_go_to_a_device_with_their_label() -> None:
    moved = label(LabelKind.BOX, candidates=offered()).to("meta").candidates
    assert moved.masks.device.type == moved.quality.device.type == "meta"
