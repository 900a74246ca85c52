"""Mask2Former: what must not matter does not, what must learn does."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.resnet import BasicBlock, ResNet

from tests.numeric import OTHER_SHAPE, close
from wsislib.data.sample import Label, LabelKind
from wsislib.losses.points import PointSampling
from wsislib.losses.targets import mask_targets
from wsislib.models.mask2former.builders import (
    COST_WEIGHTS,
    LOSS_WEIGHTS,
    mask2former_lab,
    mask2former_r50,
    mask2former_small,
)
from wsislib.models.mask2former.mask2former import Mask2Former
from wsislib.models.mask2former.pixel_decoder import DeformablePixelDecoder
from wsislib.models.mask2former.preprocess import Preprocess
from wsislib.models.mask2former.query_decoder import QueryDecoder

CATEGORIES = 5


def lab() -> Mask2Former:
    return mask2former_lab(CATEGORIES, seed=1)


def paper() -> Mask2Former:
    """The paper's parts, small."""
    torch.manual_seed(0)
    body = ResNet(BasicBlock, [1, 1, 1, 1])
    levels = {f"layer{i}": str(i - 1) for i in (1, 2, 3, 4)}
    return Mask2Former(
        Preprocess([0.4] * 3, [0.3] * 3, 32),
        IntermediateLayerGetter(body, levels),
        DeformablePixelDecoder((64, 128, 256, 512), 64, 64, 2, heads=4, hidden=96),
        QueryDecoder(CATEGORIES, 9, 64, 64, 4, heads=4, hidden=80),
        PointSampling(200),
        COST_WEIGHTS,
    )


@pytest.fixture(params=[lab, paper])
def model(request):
    """In evaluation mode, so that batch norm looks at one image at a time."""
    made = request.param().eval()
    torch.manual_seed(0)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.bias, std=0.3)  # makes zeros into something
    return made


def with_label(sample, **changes):
    return replace(sample, label=replace(sample.label, **changes))


def only(sample, keep):
    label = sample.label
    return with_label(
        sample, categories=label.categories[keep], boxes=label.boxes[keep], masks=label.masks[keep]
    )


def assert_same(found, wanted):
    assert found.keys() == wanted.keys() == LOSS_WEIGHTS.keys()
    # Losses of random points on logits that went through some twenty layers.
    close(found, wanted, "another order or padding, the same terms", rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_padding_changes_no_loss(model, make_sample, same_points):
    batch = [make_sample(0, 3, 80, 70), make_sample(1, 2, 80, 70)]
    wanted = model.losses(batch)
    model.framing.divisor = 160  # the canvas grows from 80 x 80 or 96 x 96 to 160 x 160
    assert_same(model.losses(batch), wanted)
    model.framing.hide_padding = False
    seen = model.losses(batch)["loss_mask"].item()
    assert seen != pytest.approx(wanted["loss_mask"].item(), rel=1e-3)


@torch.no_grad()
def test_a_batch_says_what_its_images_say_alone(model, make_sample):
    batch = [make_sample(0, 3, 96, 70), make_sample(1, 2, 64, 128)]
    together = model.decode(model.framing([sample.image for sample in batch], True))
    for index, sample in enumerate(batch):
        alone = model.decode(model.framing([sample.image], True))
        for name in ("classes", "embeddings"):
            found, wanted = getattr(together, name)[:, index], getattr(alone, name)[:, 0]
            close(found, wanted, f"{name}: {OTHER_SHAPE}", rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_order_of_instances_does_not_matter(model, make_sample, same_points):
    batch = [make_sample(0, 4), make_sample(1, 3)]
    turned = [only(batch[0], torch.tensor([2, 0, 3, 1])), only(batch[1], torch.tensor([1, 2, 0]))]
    assert_same(model.losses(turned), model.losses(batch))


@torch.no_grad()
def test_order_of_queries_does_not_matter(model, make_sample, same_points):
    batch = [make_sample(0, 4), make_sample(1, 3)]
    wanted = model.losses(batch)
    decoder = model.query_decoder
    order = torch.randperm(decoder.queries.num_embeddings)
    for table in (decoder.queries, decoder.places):
        table.weight.copy_(table.weight[order])
    assert_same(model.losses(batch), wanted)


@pytest.mark.parametrize("counts", [(0, 0), (0, 2), (1,), (12, 1)])
def test_any_number_of_instances(make_sample, counts):
    model = paper()  # nine queries
    batch = [make_sample(i, count=c) for i, c in enumerate(counts)]
    losses = model.losses(batch)
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert (losses["loss_mask"] > 0) == (sum(counts) > 0)
    sum(losses.values()).backward()
    for name, p in model.named_parameters():
        assert p.grad is not None and torch.isfinite(p.grad).all(), name
    said = model.decode(model.framing([sample.image for sample in batch], True))
    matches = model.match(said, mask_targets(batch), None)
    assert matches.left_over == 5 * sum(max(0, count - 9) for count in counts)


@pytest.mark.parametrize("build", [lab, paper])
def test_every_parameter_learns(build, make_sample):
    model = build().train()
    for name, p in model.named_parameters():
        if name.endswith("attention.look.weight"):  # from 0, positions teach nothing at first
            nn.init.normal_(p, std=0.1)
    batch = [make_sample(0, 4), make_sample(1, 1, 64, 80)]
    with torch.autocast("cpu", torch.bfloat16):
        losses = model.losses(batch)
    assert all(loss.dtype == torch.float32 for loss in losses.values())
    sum(LOSS_WEIGHTS[name] * loss for name, loss in losses.items()).backward()
    for name, p in model.named_parameters():
        assert torch.isfinite(p.grad).all() and p.grad.abs().sum() > 0, name


def test_points_come_from_the_generator(make_sample):
    model, batch = lab().eval(), [make_sample(0)]

    def loss(seed):
        with torch.no_grad():
            return model.losses(batch, torch.Generator().manual_seed(seed))["loss_mask"]

    before = torch.random.get_rng_state()
    assert loss(3) == loss(3) != loss(4)
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_model_with_more_terms_and_candidates(make_sample, same_points):
    """The seam for models that know more: a third cost, and several masks an instance."""
    model, batch = lab().eval(), [make_sample(0, 3), make_sample(1, 2)]
    plain = mask_targets(batch)
    said = model.decode(model.framing([sample.image for sample in batch], True))
    wanted = model.match(said, plain, None)
    wrong = tuple(torch.cat([~m, m, ~m], 1) for m in plain.masks)
    allowed = torch.tensor([[False, True, True]]).expand(5, -1)
    more = replace(plain, masks=wrong, allowed=allowed)
    model.cost_weights["prompt"] = 1e6
    favourite = torch.arange(5)
    prompt = 1 - torch.nn.functional.one_hot(favourite, 16).t().float()  # (Q, N)
    found = model.match(said, more, None, {"prompt": prompt.expand(4, -1, -1)})
    assert torch.equal(found.query, favourite.expand(4, -1))
    assert (found.candidate > 0).all()
    model.cost_weights.pop("prompt")
    losses = model.matched_losses(said, more, replace(wanted, candidate=wanted.candidate + 1), None)
    assert_same(losses, model.matched_losses(said, plain, wanted, None))


def test_labels_without_masks_are_refused(make_sample):
    sample = make_sample(0)
    with pytest.raises(ValueError, match="image 1: Mask2Former learns from masks.*kind BOX"):
        lab().losses([with_label(sample, kind=LabelKind.BOX, masks=None)])
    tags = Label(LabelKind.TAG, sample.label.categories.unique())
    with pytest.raises(ValueError, match="kind TAG"):
        lab().losses([replace(sample, label=tags)])


def test_detections_follow_the_formula(model, make_sample):
    with torch.no_grad():
        model.query_decoder.classify.weight *= 5
    images = [make_sample(0).image, make_sample(1, height=70, width=120).image]
    found = model.predict(images)
    assert sum(len(d) for d in found) > 10, "the comparison needs detections"
    for image, detections in zip(images, found, strict=True):
        height, width = image.shape[1:]
        assert detections.masks.shape == (len(detections), height, width)
        assert (detections.scores.diff() <= 0).all()
        with torch.no_grad():
            framed = model.framing([image], False)
            said = model.decode(framed)
            logits = nn.functional.interpolate(
                said.masks(), size=framed.padding.canvas, mode="bilinear", align_corners=False
            )[0, :, :height, :width]
        chances = said.classes[-1, 0].softmax(-1)[:, :-1]
        kept = chances.flatten().topk(min(100, chances.numel())).indices.tolist()
        pairs = {}
        for query, category in (divmod(k, CATEGORIES) for k in kept):
            inside = logits[query] > 0
            if inside.any():
                mean = logits[query][inside].sigmoid().mean()
                pairs[float(chances[query, category] * mean)] = (category, inside)
        wanted = sorted(pairs, reverse=True)
        assert len(wanted) == len(detections)
        # Where an image ends inside the canvas its last half cell is scaled up with what lies past
        # the end; alone it ends with the canvas. That is more than rounding.
        why = "an image alone and not in a batch has other logits along its edge"
        close(detections.scores.tolist(), wanted, why, rtol=1e-3)
        best, (category, inside) = detections.masks[0], pairs[wanted[0]]
        assert detections.categories[0] == category
        assert (best ^ inside).float().mean() < 1e-3
        rows, columns = best.any(1).nonzero(), best.any(0).nonzero()
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert detections.boxes[0].tolist() == [float(side) for side in box]


def test_resized_images_are_answered_at_their_own_size(make_sample):
    model = mask2former_small(CATEGORIES, image_side=(64, 96)).eval()
    images = [make_sample(0, height=70, width=111).image, make_sample(1, height=200).image]
    for image, found in zip(images, model.predict(images), strict=True):
        assert found.masks.shape[1:] == image.shape[1:]
    losses = model.losses([make_sample(2, height=70, width=111), make_sample(3, height=200)])
    assert losses.keys() == LOSS_WEIGHTS.keys()


def test_same_seed_same_weights_and_global_generator_untouched():
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    one, two = mask2former_lab(CATEGORIES, seed=3), mask2former_lab(CATEGORIES, seed=3)
    assert torch.equal(before, torch.random.get_rng_state())
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b)


def test_sizes_follow_the_authors_configuration():
    with torch.device("meta"):
        model = mask2former_r50(80, pretrained=False)
    decoder, pixels = model.query_decoder, model.pixel_decoder
    assert decoder.queries.weight.shape == (100, 256) and len(decoder.layers) == 9
    assert decoder.classify.weight.shape == (81, 256)
    assert decoder.layers[0].widen.weight.shape == (2048, 256)
    assert decoder.layers[0].look.heads == 8
    assert len(pixels.layers) == 6 and pixels.layers[0].widen.weight.shape == (1024, 256)
    assert pixels.layers[0].attention.look.weight.shape == (3 * 8 * 3 * 4, 256)
    assert model.sampling == PointSampling(12544, 3.0, 0.75)
    assert model.cost_weights == {"class": 2.0, "mask": 5.0, "dice": 5.0}
    assert (model.no_object_weight, model.max_detections) == (0.1, 100)
    assert model.framing.side == (800, 1333) and model.framing.resize == "predicting"
    assert all(p.requires_grad for p in model.parameters())
    assert LOSS_WEIGHTS == {"loss_class": 2.0, "loss_mask": 5.0, "loss_dice": 5.0}


def test_lab_size():
    model = mask2former_lab(20)
    assert 1.35e6 < sum(p.numel() for p in model.parameters()) < 1.45e6
    assert model.query_decoder.queries.weight.shape == (16, 96)
    with torch.no_grad():
        said = model.eval().decode(model.framing([torch.rand(3, 96, 96)], False))
    assert said.features.shape == (1, 96, 48, 48)
    assert said.classes.shape == (4, 1, 16, 21)
