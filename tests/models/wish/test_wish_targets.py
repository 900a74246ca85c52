"""From labels of every kind to instances with prompts and candidates."""

from dataclasses import replace

import pytest
import torch

from tests.models.wish.gate_scenes_for_tests import SIDE, WHOLE, two_points
from tests.numeric import OTHER_SHAPE, close, close_masks
from wsislib.data.sample import Candidates, Label, LabelKind, Sample
from wsislib.models.mask2former.padding import Padding
from wsislib.models.sam.prompts import Prompts
from wsislib.models.sam.sam import Teacher
from wsislib.models.sam.tiny_sam import tiny_sam
from wsislib.models.wish.cam import Cams
from wsislib.models.wish.candidate_choice import Gate
from wsislib.models.wish.label_completion import CompletedSample, add_pseudo_labels, covered_by
from wsislib.models.wish.prompt_head import PromptHead
from wsislib.models.wish.pseudo_points import PeakRule
from wsislib.models.wish.targets import wish_targets

WIDTH = 8


@pytest.fixture(scope="module")
def teacher():
    """Random weights: what it says is arbitrary, but always the same, and not empty."""
    sam = tiny_sam(0, WIDTH, SIDE, (4, 4, 4, 4))
    g = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in sam.mask_decoder.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=g))
    return Teacher(sam, "random", "0")


def scene(kind, seed=0, size=(SIDE, SIDE), candidates=True, **fields):
    g = torch.Generator().manual_seed(seed)
    image = torch.rand(3, *size, generator=g)
    categories = fields.pop("categories", torch.tensor([1, 0]))
    count = len(categories)
    if kind >= LabelKind.BOX and "boxes" not in fields:
        fields["boxes"] = torch.tensor([[2.0, 2, 9, 9], [5, 8, 20, 30]])[:count]
    if kind == LabelKind.POINT:
        fields["points"] = torch.tensor([[4.5, 4.5], [12.5, 20.5]])[:count]
    if kind == LabelKind.MASK and "masks" not in fields:
        fields["masks"] = torch.zeros(count, *size, dtype=torch.bool)
        for mask, box in zip(fields["masks"], fields["boxes"].long().tolist(), strict=True):
            mask[box[1] : box[3], box[0] : box[2]] = True
    if candidates and kind in (LabelKind.POINT, LabelKind.BOX):
        masks = torch.rand(count, 3, *size, generator=g) < 0.5
        fields["candidates"] = Candidates(masks, torch.rand(count, 3, generator=g))
    return Sample(image, seed + 1, Label(kind, categories, **fields))


def targets_of(batch, teacher, gate=None, tokens="mean", cams=None, rule=None):
    torch.manual_seed(0)
    head = PromptHead(6, 6, WIDTH, tokens)
    return wish_targets(
        add_pseudo_labels(batch, cams, teacher, rule or PeakRule()), head, teacher, gate
    )


def test_all_kinds_in_one_batch(teacher):
    batch = [scene(kind, seed=int(kind)) for kind in LabelKind]
    wanted = targets_of(batch, teacher)
    targets = wanted
    assert targets.counts == (0, 2, 2, 2) and targets.image_ids == (1, 2, 3, 4)
    assert {masks.shape[1:] for masks in targets.masks} == {(3, SIDE, SIDE)}
    assert wanted.kinds.tolist() == [1, 1, 2, 2, 3, 3]
    assert targets.allowed.tolist() == [[True] * 3] * 4 + [[True, False, False]] * 2
    assert torch.equal(targets.masks[3][:, 0], batch[3].label.masks)
    assert torch.equal(targets.masks[1], batch[1].label.candidates.masks)
    assert targets.background_known.tolist() == [False, True, True, True]
    assert wanted.prompts.shape == (6, 1, WIDTH) and not wanted.prompts.requires_grad


@pytest.mark.parametrize("tokens", ["mean", "both"])
def test_prompts_are_the_teachers_tokens(teacher, tokens):
    size = (24, 32)
    batch = [scene(kind, size=size) for kind in (LabelKind.POINT, LabelKind.BOX)]
    said = targets_of(batch, teacher, tokens=tokens).prompts
    points = teacher.prompt_embeddings(Prompts(points=batch[0].label.points), size)
    boxes = teacher.prompt_embeddings(Prompts(boxes=batch[1].label.boxes), size)
    wanted = torch.cat([points, boxes])  # (4, 2, D)
    if tokens == "mean":
        wanted = torch.cat([points[:, :1], boxes.mean(1, keepdim=True)])
    assert torch.equal(said, wanted)


def test_by_kind_an_instance_has_the_one_token_of_its_kind(teacher):
    batch = [scene(kind) for kind in (LabelKind.POINT, LabelKind.BOX, LabelKind.MASK)]
    wanted, mean = (targets_of(batch, teacher, tokens=tokens) for tokens in ("by-kind", "mean"))
    assert wanted.token.tolist() == [0, 0, 1, 1, 1, 1] and mean.token is None
    assert torch.equal(wanted.prompts, mean.prompts)
    said = torch.rand(2, 3, 2, WIDTH)
    head = PromptHead(6, 6, WIDTH, "by-kind")
    assert head(torch.rand(1, 2, 3, 6)).shape == (1, 2, 3, 2, WIDTH)
    assert torch.equal(head.of_boxes(said), said[..., 1:, :])
    assert torch.equal(PromptHead(6, 6, WIDTH, "both").of_boxes(said), said)


def test_the_prompt_of_a_mask_is_its_tight_box(teacher):
    loose = scene(LabelKind.MASK)
    boxes = loose.label.boxes + torch.tensor([-1.0, -1, 1, 1])
    loose = replace(loose, label=replace(loose.label, boxes=boxes))
    found = targets_of([loose], teacher).prompts
    assert torch.equal(found, targets_of([scene(LabelKind.BOX)], teacher).prompts)


def test_entries_of_one_image_may_be_of_several_kinds(teacher):
    plain = {kind: scene(kind).label for kind in (LabelKind.POINT, LabelKind.BOX, LabelKind.MASK)}
    masks, boxes = torch.cat([plain[3].masks[:1].repeat(2, 1, 1), plain[3].masks[1:]]), None
    boxes = torch.cat([torch.zeros(1, 4), plain[3].boxes])
    masks[:2] = False
    label = Label(
        LabelKind.POINT,
        torch.tensor([1, 1, 0]),
        points=torch.cat([plain[1].points[:1], torch.zeros(2, 2)]),
        boxes=boxes,
        masks=masks,
        kinds=torch.tensor([1, 2, 3], dtype=torch.uint8),
    )
    sample = replace(scene(LabelKind.POINT), label=label)
    wanted = targets_of([sample], teacher)
    assert wanted.kinds.tolist() == [1, 2, 3]
    alone = {k: targets_of([scene(k, candidates=False)], teacher) for k in plain}
    for row, kind, own in ((0, 1, 0), (1, 2, 0), (2, 3, 1)):
        close(wanted.prompts[row], alone[kind].prompts[own], OTHER_SHAPE, atol=1e-5)
        masks = alone[kind].masks[0][own]
        close_masks(wanted.masks[0][row, : len(masks)], masks, OTHER_SHAPE)
    assert wanted.allowed[2].tolist() == [True, False, False]


def test_a_box_that_no_candidate_fits_is_learnt_itself(teacher):
    boxes = torch.tensor([[4.0, 4, 12, 12], [20.2, 20.2, 20.4, 20.4]])
    sample = scene(LabelKind.BOX, boxes=boxes)
    offered = torch.zeros(2, 3, SIDE, SIDE, dtype=torch.bool)
    offered[:, :, :6, :6] = True
    label = replace(sample.label, candidates=Candidates(offered, torch.ones(2, 3)))
    wanted = targets_of([replace(sample, label=label)], teacher, Gate(min_box_iou=0.5))
    filled = torch.zeros(2, SIDE, SIDE, dtype=torch.bool)
    filled[0, 4:12, 4:12] = True
    filled[1, 20, 20] = True  # the pixel that it touches
    assert torch.equal(wanted.masks[0][:, 0], filled)
    assert wanted.allowed.tolist() == [[True, False, False]] * 2
    plain = targets_of([replace(sample, label=label)], teacher, Gate())
    assert torch.equal(plain.masks[0], offered)


def test_without_a_cache_the_teacher_is_asked(teacher):
    for kind in (LabelKind.POINT, LabelKind.BOX):
        sample = scene(kind, candidates=False)
        label = sample.label
        prompts = Prompts(points=label.points) if kind == 1 else Prompts(boxes=label.boxes)
        (offered,) = teacher.candidates([sample.image], [prompts])
        (done,) = add_pseudo_labels([sample], None, teacher, PeakRule())
        assert torch.equal(done.label.candidates.masks, offered.masks)
        assert torch.equal(done.label.candidates.quality, offered.scores.clamp(0, 1))


def test_a_cache_spares_the_teacher(teacher, monkeypatch):
    monkeypatch.setattr(teacher, "embed", lambda images: pytest.fail("the teacher saw an image"))
    batch = [scene(kind) for kind in LabelKind]
    done = add_pseudo_labels(batch, None, teacher, PeakRule())  # tags in warm-up
    assert [len(sample.label) for sample in done] == [0, 2, 2, 2]


def cams_of(*spots):
    """One image's maps of three categories at stride 4, with peaks (category, row, column)."""
    maps = torch.full((1, 3, SIDE // 4, SIDE // 4), -1.0)
    for category, row, column in spots:
        maps[0, category, row, column] = 1.0
    return Cams(maps, Padding([(SIDE, SIDE)], (SIDE, SIDE)))


def test_tags_become_points_with_candidates(teacher):
    cams = cams_of((1, 2, 5), (0, 6, 6), (2, 1, 1))  # category 2 is not in the image
    sample = scene(LabelKind.TAG, categories=torch.tensor([0, 1]))
    (done,) = add_pseudo_labels([sample], cams, teacher, PeakRule())
    points = torch.tensor([[26.0, 26], [22, 10]])
    (offered,) = teacher.candidates([sample.image], [Prompts(points=points)])
    best = offered.masks[torch.arange(2), offered.scores.clamp(0, 1).argmax(1)]
    sound = best.flatten(1).any(1)
    assert bool(sound.any()), "the comparison needs a point"
    assert done.label.kind == LabelKind.POINT
    assert torch.equal(done.label.points, points[sound])
    assert torch.equal(done.label.categories, torch.tensor([0, 1])[sound])
    assert torch.equal(done.label.candidates.masks, offered.masks[sound])
    wanted = targets_of([sample], teacher, cams=cams)
    assert (wanted.kinds == LabelKind.TAG).all()
    assert wanted.background_known is None


def test_what_is_known_of_images_without_points(teacher):
    tagged, bare = scene(LabelKind.TAG), scene(LabelKind.TAG, categories=torch.zeros(0).long())
    none = scene(LabelKind.POINT, categories=torch.zeros(0).long())
    wanted = targets_of([tagged, bare, none], teacher)
    assert wanted.background_known.tolist() == [False, True, True]
    assert len(wanted) == 0 and wanted.prompts.shape == (0, 1, WIDTH)
    assert targets_of([bare, none], teacher).background_known is None


@pytest.mark.parametrize("alike", [True, False])
def test_pseudo_points_of_one_category_do_not_speak_against_each_other(teacher, alike):
    label, image = two_points((0, 0, 9, 9), (18, 18, 24, 24), WHOLE), torch.zeros(3, SIDE, SIDE)
    categories = torch.tensor([0, 0 if alike else 1])
    pointed = Sample(image, 1, replace(label, categories=categories))
    head = PromptHead(4, 4, WIDTH)
    for kind, whole in ((LabelKind.POINT, False), (LabelKind.TAG, alike)):
        told = CompletedSample(pointed, torch.full((2,), int(kind)), True)
        found = wish_targets([told], head, teacher, Gate())
        assert found.allowed[:, 2].tolist() == [whole, whole]


def partly_tagged(categories, tags):
    """A box of the first category, a mask of the second, and tags."""
    boxed, masked = scene(LabelKind.BOX).label, scene(LabelKind.MASK).label
    given, named = torch.tensor(categories), torch.tensor(tags)
    count = 2 + len(named)
    boxes, masks = torch.zeros(count, 4), torch.zeros(count, SIDE, SIDE, dtype=torch.bool)
    boxes[0], boxes[1], masks[1] = boxed.boxes[0], masked.boxes[1], masked.masks[1]
    kinds = torch.tensor([2, 3] + [0] * len(named), dtype=torch.uint8)
    label = Label(LabelKind.TAG, torch.cat([given, named]), None, boxes, masks, kinds)
    return replace(scene(LabelKind.TAG), label=label).check()


def test_tags_beside_dearer_entries_become_points_of_their_own(teacher):
    sample = partly_tagged([1, 0], [2])
    (done,) = add_pseudo_labels([sample], cams_of((2, 7, 1)), teacher, PeakRule())
    assert done.kinds.tolist() == [2, 3, 0] and done.is_pseudo.tolist() == [False, False, True]
    assert done.label.kind == LabelKind.POINT and done.background_known
    assert done.label.entry_kinds.tolist() == [2, 3, 1]
    assert done.label.points[2].tolist() == [6.0, 30.0]
    done.sample.check(3)
    (bare,) = add_pseudo_labels(
        [replace(sample, label=sample.label[:2])], None, teacher, PeakRule()
    )
    wanted = targets_of([sample], teacher, Gate(), cams=cams_of((2, 7, 1)))
    plain = targets_of([bare.sample], teacher, Gate())
    close(wanted.prompts[:2], plain.prompts, "beside a point's", atol=1e-5)
    close_masks(wanted.masks[0][:2], plain.masks[0], "beside a point's")
    assert torch.equal(wanted.masks[0][1, 0], sample.label.masks[1])


def test_queries_of_a_partly_known_image_are_not_told_that_there_is_nothing(teacher):
    for tags, known in (([2], False), ([1], True), ([1, 2], False)):
        (done,) = add_pseudo_labels([partly_tagged([1, 0], tags)], None, teacher, PeakRule())
        assert done.background_known == known and done.label.categories.tolist() == [1, 0]
        assert done.label.kind == LabelKind.BOX
        found = targets_of([partly_tagged([1, 0], tags)], teacher)
        assert (found.background_known is None) == known


def test_peaks_on_a_known_entry_of_their_category_are_no_new_object(teacher):
    sample = partly_tagged([1, 0], [0, 1])  # box (2, 2, 9, 9) of 1, mask (5, 8, 20, 30) of 0
    spots = cams_of((1, 1, 1), (1, 7, 7), (0, 4, 4), (0, 0, 7))  # on, off, on, off
    (done,) = add_pseudo_labels([sample], spots, teacher, PeakRule(exclusive=False))
    found = done.label[done.is_pseudo]
    assert found.categories.tolist() == [0, 1]
    assert found.points.tolist() == [[30.0, 2.0], [30.0, 30.0]]


def test_peaks_on_a_known_points_candidate_are_no_new_object(teacher):
    pointed = scene(LabelKind.POINT).label[:1]  # of category 1
    masks = torch.zeros(1, 2, SIDE, SIDE, dtype=torch.bool)
    masks[0, 1, :9, :9] = True
    offered = Candidates(masks, torch.tensor([[0.2, 0.9]]))
    known = replace(pointed, candidates=offered)
    points = torch.tensor([[4.0, 4], [4, 4], [20, 4]])
    on = covered_by(known, torch.tensor([1, 0, 1]), points)
    assert on.tolist() == [True, False, False]
