"""Mask heads side by side: each as if it were alone."""

from dataclasses import replace

import pytest
import torch

from wsislib.data.sample import LabelKind
from wsislib.models.maskrcnn.builders import add_mlp_branch, mask_rcnn_lab, transfer_predictor
from wsislib.models.maskrcnn.mask_heads import MaskHeads

CATEGORIES = 5
A, ALL = torch.tensor([True, True, False, False, False]), torch.ones(CATEGORIES, dtype=torch.bool)
LEARNS = {"agnostic": A, "oracle": ALL, "cls+box": A, "random-mlp": A}


def branch(name, detector):
    """A head as `mask_rcnn_lab` would have it, over `detector`."""
    kind = "class-specific" if name == "oracle" else "class-agnostic"
    spare = mask_rcnn_lab(CATEGORIES, kind, seed=7)
    box_predictor = detector.roi.box_predictor
    if name == "cls+box":
        spare.mask.predictor = transfer_predictor(box_predictor, 64, seed=7)
    if name == "random-mlp":
        spare.mask.predictor = transfer_predictor(box_predictor, 64, "random", seed=7)
        add_mlp_branch(spare, pool=4, seed=7)
    return spare.mask


def detector():
    model = mask_rcnn_lab(CATEGORIES, seed=1)
    model.roi.detections_per_img = 12
    generator = torch.Generator().manual_seed(0)
    torch.nn.init.normal_(model.roi.box_predictor.cls_score.weight, std=0.3, generator=generator)
    return model


def side_by_side(names=tuple(LEARNS)):
    base = detector()
    return MaskHeads(base, {n: branch(n, base) for n in names}, {n: LEARNS[n] for n in names})


def alone(name):
    model = detector()
    model.mask = branch(name, model)
    return model.freeze_detector()


def labelled(sample, learns):
    """Masks of the categories in `learns`, boxes of all."""
    label = sample.label
    keep = learns[label.categories]
    kinds = torch.where(keep, int(LabelKind.MASK), int(LabelKind.BOX)).to(torch.uint8)
    masks = label.masks & keep[:, None, None]
    return replace(sample, label=replace(label, kind=LabelKind.BOX, kinds=kinds, masks=masks))


def train(model, batches):
    """Three steps of AdamW in float32; returns the losses of each."""
    model.train()
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], 1e-3)
    course = []
    for step, batch in enumerate(batches):
        torch.manual_seed(step)  # torchvision's samplers draw from the global generator
        found = model.losses(batch)
        optimiser.zero_grad()
        sum(found.values()).backward()
        optimiser.step()
        course.append({name: value.item() for name, value in found.items()})
    return course


def test_a_head_in_company_learns_what_it_learns_alone_bit_for_bit(make_sample):
    # Bit for bit: RoIAlign reads each region by itself, and then a head sees the same regions in
    # the same shapes. A tolerance would not do: AdamW divides what is lost by its own size.
    samples = [[make_sample(3 * i), make_sample(3 * i + 1)] for i in range(3)]
    together = side_by_side()
    course = train(together, samples)
    assert set(course[0]) == {f"loss_mask.{name}" for name in LEARNS}
    for name, learns in LEARNS.items():
        single = alone(name)
        own = train(single, [[labelled(s, learns) for s in batch] for batch in samples])
        assert [step["loss_mask"] for step in own] == [s[f"loss_mask.{name}"] for s in course]
        wanted = single.mask.state_dict()
        for part, value in together.heads[name].state_dict().items():
            assert torch.equal(value, wanted[part]), (name, part)


def test_a_head_ignores_masks_that_only_others_may_see(make_sample):
    samples = [make_sample(0), make_sample(1)]
    model = side_by_side()
    first = train(model, [samples])[0]
    inverted = [
        replace(
            s,
            label=replace(s.label, masks=s.label.masks ^ ~A[s.label.categories][:, None, None]),
        )
        for s in samples
    ]
    second = train(side_by_side(), [inverted])[0]
    assert first["loss_mask.oracle"] != second["loss_mask.oracle"]
    for name in ("agnostic", "cls+box", "random-mlp"):
        assert first[f"loss_mask.{name}"] == second[f"loss_mask.{name}"]


def test_one_pass_gives_every_heads_own_prediction(make_sample):
    model = side_by_side().eval()
    for head in model.heads.values():
        torch.nn.init.normal_(head.trunk[0][0].weight, std=0.2)
    images = [make_sample(5).image, make_sample(6, height=70).image]
    each = model.predict_each(images)
    assert list(each) == list(LEARNS)
    for name in LEARNS:
        model.shown = name
        for one, other, third in zip(
            each[name], model.predict(images), model.single(name).predict(images), strict=True
        ):
            assert len(one) > 5
            assert torch.equal(one.masks, other.masks) and torch.equal(one.masks, third.masks)
            assert torch.equal(one.boxes, third.boxes) and torch.equal(one.scores, third.scores)
    first, second = (each[name][0].masks for name in ("agnostic", "oracle"))
    assert not torch.equal(first, second)


def test_only_heads_learn_and_the_detector_is_saved_once(make_sample):
    model = side_by_side()
    assert all(n.startswith("heads.") for n, p in model.named_parameters() if p.requires_grad)
    names = list(model.state_dict())
    assert not any(name.startswith(("mask.", "learns")) for name in names)
    assert sum("cls_score.weight" in name for name in names) == 1
    before = {n: v.clone() for n, v in model.state_dict().items() if not n.startswith("heads.")}
    train(model, [[make_sample(0), make_sample(1)]])
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())


@pytest.mark.parametrize("count", [0, 1])
def test_batches_with_nothing_to_learn_give_zero_with_a_gradient_path(make_sample, count):
    model = side_by_side().train()
    nobody = torch.zeros(CATEGORIES, dtype=torch.bool)
    found = model.losses([labelled(make_sample(i, count=count), nobody) for i in range(2)])
    assert all(value == 0 for value in found.values())
    sum(found.values()).backward()
    assert all(p.grad is not None and not p.grad.any() for p in model.heads.parameters())


def test_heads_that_cannot_stand_side_by_side_are_refused():
    base = detector()
    head = branch("agnostic", base)
    with pytest.raises(ValueError, match="no mask head is given"):
        MaskHeads(base, {}, {})
    for name in ("pop", "a.b", "Oracle", ""):
        with pytest.raises(ValueError, match=f"mask head {name!r}: take another name"):
            MaskHeads(base, {name: head}, {name: A})
    other = branch("agnostic", base)
    other.pool.output_size = (7, 7)
    with pytest.raises(ValueError, match="pool regions alike"):
        MaskHeads(base, {"one": head, "two": other}, {"one": A, "two": A})
    with pytest.raises(ValueError, match="no mask head 'three'; there are one"):
        MaskHeads(base, {"one": head}, {"one": A}).single("three")
