"""WISH: every kind of label teaches, nothing leaks, and each decision is used as it was made."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from wsislib.data.sample import LabelKind
from wsislib.engine.config import TrainConfig
from wsislib.engine.history import read_history
from wsislib.engine.train import fit
from wsislib.labels.weaken import weaken
from wsislib.losses.prompts import PromptDistance
from wsislib.matching import mask_terms
from wsislib.models.builders_mask2former import LOSS_WEIGHTS
from wsislib.models.builders_wish import (
    WishParts,
    wish_lab,
    wish_loss_weights,
    wish_r50,
    wish_small,
)
from wsislib.models.sam import Candidates, Embedded, Teacher
from wsislib.models.tiny_sam import tiny_sam
from wsislib.models.wish import WISH

CATEGORIES, SIDE, WIDTH = 5, 48, 16
NAMES = {"loss_class", "loss_mask", "loss_dice", "loss_prompt", "loss_cam", "loss_self"}
KINDS = list(LabelKind)
MIXED = [[kind] for kind in KINDS] + [KINDS]


class DrawnTeacher(Teacher):
    """SAM's own prompt encoder, but discs of three sizes around a prompt as candidates."""

    def embed(self, images):
        sizes = tuple((image.shape[-2], image.shape[-1]) for image in images)
        return Embedded(torch.zeros(len(images), 1, 1, 1), sizes, sizes)

    def candidates(self, images, prompts):
        return [self._discs(size, one) for size, one in zip(images.sizes, prompts, strict=True)]

    def _discs(self, size, prompts):
        middle = prompts.points
        if middle is None:
            middle = (prompts.boxes[:, :2] + prompts.boxes[:, 2:]) / 2
        y, x = torch.meshgrid(*(torch.arange(side) + 0.5 for side in size), indexing="ij")
        far = torch.hypot(x - middle[:, :1, None], y - middle[:, 1:, None])  # (N, H, W)
        logits = torch.stack([radius - far for radius in (2.0, 5.0, 9.0)], 1)
        scores = torch.tensor([0.5, 0.9, 0.7]).repeat(len(middle), 1)
        return Candidates(logits, scores, logits)


def drawn_teacher():
    return DrawnTeacher(tiny_sam(3, WIDTH, SIDE, (4, 4, 4, 4)), "drawn", "0")


def lab(parts=None, **settings) -> WISH:
    how = {"cam_warmup": 0, "self_start": 0, "seed": 1, **settings}
    return wish_lab(CATEGORIES, drawn_teacher(), parts, **how)


@pytest.fixture
def make(make_sample):
    """A sample with a label of the wanted kind, made from masks."""

    def one(kind, seed=0, count=3, height=SIDE, width=SIDE):
        sample = make_sample(seed, count, height, width, CATEGORIES)
        label = weaken(sample.label, kind, torch.Generator().manual_seed(seed))
        return replace(sample, label=label)

    return one


def weighted(losses):
    return sum(wish_loss_weights()[name] * loss for name, loss in losses.items())


@pytest.mark.parametrize("kinds", MIXED, ids=lambda kinds: "+".join(k.name for k in kinds))
def test_every_parameter_learns_from_every_kind(make, kinds):
    model = lab().train()
    nn.init.constant_(model.cam_head.classify.weight, 0.05)  # so that every map has a peak
    batch = [make(kind, seed=seed) for seed, kind in enumerate(kinds)]
    with torch.autocast("cpu", torch.bfloat16):
        losses = model.losses(batch)
    assert losses.keys() == NAMES
    assert all(
        loss.dtype == torch.float32 and loss > 0 for n, loss in losses.items() if n[5] != "s"
    )
    weighted(losses).backward()
    for name, p in model.named_parameters():
        assert torch.isfinite(p.grad).all() and p.grad.abs().sum() > 0, name
    for p in model.teacher.sam.parameters():
        assert p.grad is None and not p.requires_grad


def test_tags_in_warm_up_teach_the_cam_branch_alone(make):
    model = lab(cam_warmup=1, self_start=None).train()
    losses = model.losses([make(LabelKind.TAG)])
    assert losses["loss_cam"] > 0
    assert all(losses[name] == 0 for name in NAMES - {"loss_cam"})
    weighted(losses).backward()
    assert model.cam_head.classify.weight.grad.abs().sum() > 0
    assert model.segmenter.backbone.stem[0].weight.grad.abs().sum() > 0
    for part in (model.segmenter.query_decoder, model.prompt_head):
        assert all((p.grad == 0).all() for p in part.parameters())
    assert model.statistics()["tag.images_without_point"] == 1
    assert model.losses([make(LabelKind.TAG)])["loss_class"] > 0, "the second step has points"


@pytest.mark.parametrize("counts", [(0, 0), (0, 2), (20, 1)])
@pytest.mark.parametrize("kind", KINDS)
def test_any_number_of_instances(make, kind, counts):
    model = lab()
    losses = model.losses([make(kind, seed, count) for seed, count in enumerate(counts)])
    assert all(torch.isfinite(loss) for loss in losses.values())
    weighted(losses).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def turned(sample, order):
    label = sample.label
    fields = {
        name: value[order]
        for name in ("categories", "points", "boxes", "masks")
        if (value := getattr(label, name)) is not None
    }
    return replace(sample, label=replace(label, **fields))


def assert_same(found, wanted):
    assert found.keys() == wanted.keys() == NAMES
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, atol=1e-4, rtol=1e-4, msg=name)


@torch.no_grad()
def test_order_of_instances_does_not_matter(make, same_points):
    model = lab().eval()
    batch = [make(kind, int(kind)) for kind in KINDS]
    order = torch.tensor([2, 0, 1])
    other = [turned(s, order[: len(s.label)].argsort().argsort()) for s in batch]
    assert_same(model.losses(other), model.losses(batch))


@torch.no_grad()
def test_order_of_queries_does_not_matter(make, same_points):
    model, batch = lab().eval(), [make(kind, int(kind)) for kind in KINDS]
    wanted = model.losses(batch)
    decoder = model.segmenter.query_decoder
    order = torch.randperm(decoder.queries.num_embeddings)
    for table in (decoder.queries, decoder.places):
        table.weight.copy_(table.weight[order])
    assert_same(model.losses(batch), wanted)


@torch.no_grad()
def test_padding_changes_no_loss(make, same_points):
    model = lab().eval()
    nn.init.constant_(model.cam_head.classify.weight, 0.05)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.bias, std=0.3)  # makes zeros into something
    batch = [make(kind, int(kind), height=44, width=36) for kind in KINDS]
    model.segmenter.query_decoder.classify.bias[batch[0].label.categories[0]] = 3.0
    wanted = model.losses(batch)
    assert wanted["loss_self"] > 0, "a category of an image is claimed by a query"
    model.segmenter.framing.divisor = 80  # the canvas grows from 48 x 48 to 80 x 80
    assert_same(model.losses(batch), wanted)


def spied(model, batch, monkeypatch):
    """What the matcher was given and gave, and what the losses were given."""
    seen = {}
    match, matched = model.segmenter.match, model.segmenter.matched_losses

    def spy_match(said, targets, generator, terms):
        seen["terms"], seen["matches"] = terms, match(said, targets, generator, terms)
        return seen["matches"]

    def spy_losses(said, targets, matches, generator):
        seen.update(said=said, targets=targets, used=matches)
        return matched(said, targets, matches, generator)

    monkeypatch.setattr(model.segmenter, "match", spy_match)
    monkeypatch.setattr(model.segmenter, "matched_losses", spy_losses)
    seen["losses"] = model.losses(batch)
    return seen


@torch.no_grad()
def test_the_nearest_candidate_is_chosen_once_and_used(make, same_points, monkeypatch):
    model = lab().eval()
    seen = spied(model, [make(kind, int(kind)) for kind in KINDS], monkeypatch)
    assert seen["used"] is seen["matches"]
    said, targets, matches = seen["said"], seen["targets"], seen["matches"]
    area = said.padding.extents(said.features.device)[1]
    points = torch.rand(len(targets.counts), model.segmenter.sampling.count, 2) * area[:, None]
    bce, dice = mask_terms(said.embeddings, said.features, targets, points, area)
    cost = (5 * bce + 5 * dice).masked_fill(~targets.allowed, torch.inf)
    own = matches.query.clamp(min=0)[:, None, :, None].expand(-1, -1, -1, cost.shape[-1])
    assert torch.equal(matches.candidate, cost.gather(1, own)[:, 0].argmin(-1))
    chosen = targets.allowed.expand(len(own), -1, -1).gather(-1, matches.candidate[..., None])
    assert chosen.all(), "a candidate that the gate leaves out is never chosen"


@torch.no_grad()
@pytest.mark.parametrize("kind", ["kl", "reverse-kl", "l2"])
def test_the_prompt_loss_is_the_distance_that_was_matched(make, same_points, monkeypatch, kind):
    model = lab(WishParts(distance=PromptDistance(kind))).eval()
    seen = spied(model, [make(LabelKind.BOX, 0), make(LabelKind.POINT, 1)], monkeypatch)
    cost, query = seen["terms"]["prompt"], seen["matches"].query
    paid = cost.gather(1, query.clamp(min=0)[:, None])[:, 0] * (query >= 0)
    found = seen["losses"]["loss_prompt"]
    torch.testing.assert_close(found, paid.sum() / query.shape[1], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_weights_of_costs_are_in_no_loss(make, same_points):
    """Losses come unweighted: twice the costs, the same matches, the same losses."""
    model, batch = lab().eval(), [make(kind, int(kind)) for kind in KINDS]
    wanted = model.losses(batch)
    model.segmenter.cost_weights = {k: 2 * v for k, v in model.segmenter.cost_weights.items()}
    assert_same(model.losses(batch), wanted)
    assert wish_loss_weights() == {**LOSS_WEIGHTS, "loss_prompt": 5, "loss_cam": 1, "loss_self": 1}
    assert model.segmenter.cost_weights == {"class": 4, "mask": 10, "dice": 10, "prompt": 10}


@torch.no_grad()
def test_mask_labels_are_mask2formers(make, same_points):
    """With masks, and no word on prompts in the matcher, WISH is the model it stands on."""
    model, batch = lab().eval(), [make(LabelKind.MASK, 0), make(LabelKind.MASK, 1, 2)]
    model.segmenter.cost_weights["prompt"] = 0.0
    found = model.losses(batch)
    del model.segmenter.cost_weights["prompt"]
    for name, value in model.segmenter.losses(batch).items():
        torch.testing.assert_close(found[name], value, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS[:-1])
def test_true_masks_leak_nowhere(make_sample, make, kind):
    """Poison the true masks after weakening: training stays equal, bit for bit."""

    def trained(poison):
        model = lab().train()
        sgd = torch.optim.SGD(model.parameters(), 1e-3)
        truth = [make_sample(seed, 3, SIDE, SIDE, CATEGORIES) for seed in (0, 1)]
        g = torch.Generator().manual_seed(0)
        batch = [replace(one, label=weaken(one.label, kind, g)) for one in truth]
        if poison:
            for one in truth:
                one.label.masks.logical_not_()
                one.label.boxes.mul_(0.5)
            # Even a mask that stands where none may stand is not looked at.
            batch = [replace(s, label=replace(s.label, masks=t.label.masks[: len(s.label)]))
                     for s, t in zip(batch, truth, strict=True)]  # fmt: skip
        values = []
        for _ in range(2):
            losses = model.losses(batch, torch.Generator().manual_seed(7))
            sgd.zero_grad()
            weighted(losses).backward()
            sgd.step()
            values += losses.values()
        return torch.stack(values), model.state_dict()

    (losses, weights), (others, other_weights) = trained(False), trained(True)
    assert torch.equal(losses, others)
    assert all(torch.equal(value, other_weights[name]) for name, value in weights.items())


@torch.no_grad()
def test_steps_are_counted_in_training_and_kept(make):
    model, batch = lab(cam_warmup=2, self_start=3), [make(LabelKind.TAG)]
    nn.init.constant_(model.cam_head.classify.weight, 0.05)
    model.eval().losses(batch)
    assert model.steps == 0
    model.train()
    without = []
    for _ in range(3):
        model.losses(batch)
        without.append(model.statistics()["tag.images_without_point"])
    assert without == [1, 1, 0] and model.steps == 3
    other = lab(cam_warmup=2, self_start=3)
    other.load_state_dict(model.state_dict())
    assert other.steps == 3
    assert not any("teacher" in name or "sam" in name for name in model.state_dict())


@torch.no_grad()
def test_self_enhancement_starts_at_its_step(make):
    batch = [make(LabelKind.MASK)]
    started = []
    for start in (0, 1, None):
        model = lab(self_start=start)
        model.segmenter.query_decoder.classify.bias[-1] = -20.0  # every query claims a category
        model.segmenter.query_decoder.classify.bias[batch[0].label.categories[0]] = 20.0
        started.append([bool(model.losses(batch)["loss_self"] > 0) for _ in range(2)])
    assert started == [[True, True], [False, True], [False, False]]


def test_a_run_that_goes_on_is_the_run_that_never_stopped(make, tmp_path):
    class Scenes:
        categories, image_ids = (), tuple(range(1, 5))

        def __len__(self):
            return 4

        def __getitem__(self, index):
            return replace(make(KINDS[index], index), image_id=index + 1)

        def fingerprint(self):
            return "scenes"

    def train(steps, folder):
        model = lab(cam_warmup=2, self_start=3)
        config = TrainConfig.from_dict(
            {"steps": steps, "batch_size": 4, "optimiser": "adamw", "learning_rate": 5e-4,
             "precision": "float32", "log_every": 1, "loss_weights": wish_loss_weights()}
        )  # fmt: skip
        fit(model, Scenes(), config, tmp_path / folder, device="cpu", progress=False)
        return model.state_dict(), read_history(tmp_path / folder / "history.csv")

    train(2, "halves")
    (weights, rows), (others, other_rows) = train(4, "halves"), train(4, "whole")
    assert all(torch.equal(value, others[name]) for name, value in weights.items())
    assert [row["tag.images_without_point"] for row in rows] == [1, 1, 0, 0]
    for row, other in zip(rows, other_rows, strict=True):
        assert {k: v for k, v in row.items() if k not in ("seconds", "images_per_second")} == {
            k: v for k, v in other.items() if k not in ("seconds", "images_per_second")
        }


def test_inference_is_the_segmenters_alone(make):
    model, image = lab().eval(), make(LabelKind.MASK).image
    wanted = model.segmenter.predict([image])[0]
    model.teacher = model.prompt_head = model.cam_head = None
    found = model.predict([image])[0]
    assert torch.equal(found.masks, wanted.masks) and torch.equal(found.scores, wanted.scores)


@torch.no_grad()
def test_statistics_say_what_happened(make, monkeypatch):
    model = lab().eval()
    batch = [make(LabelKind.BOX, 0), make(LabelKind.MASK, 1, 2), make(LabelKind.BOX, 2, 20)]
    seen = spied(model, batch, monkeypatch)
    found = model.statistics()
    assert found["box.instances"] == 11.5 and found["mask.instances"] == 2
    assert found["box.matched_share"] == pytest.approx((3 + 16) / 23)
    assert found["mask.matched_share"] == 1
    assert found["box.candidates_allowed"] == pytest.approx(
        seen["targets"].allowed.sum(1)[[0, 1, 2, *range(5, 25)]].float().mean().item()
    )
    assert sum(found[f"box.candidate_{k}_share"] for k in range(3)) == pytest.approx(1)
    boxes = torch.tensor([0, 1, 2, *range(5, 25)])
    last = seen["matches"].candidate[-1][boxes][seen["matches"].query[-1][boxes] >= 0]
    assert found["box.candidate_1_share"] == pytest.approx((last == 1).float().mean().item())
    assert not any(name.startswith(("tag", "point")) or "mask.candidate" in name for name in found)
    assert lab().statistics() == {}


@torch.no_grad()
def test_statistics_of_tags(make):
    model = lab()
    nn.init.constant_(model.cam_head.classify.weight, 0.05)
    batch = [make(LabelKind.TAG, 0), make(LabelKind.TAG, 1, 0), make(LabelKind.TAG, 2)]
    losses = model.losses(batch)
    found = model.statistics()
    assert found["tag.images_without_point"] == 0 and found["tag.points_per_tag"] >= 1
    assert found["tag.instances"] > 0 and losses["loss_mask"] > 0


def test_sizes_of_the_models():
    teacher = drawn_teacher()
    teacher.width = 256
    with torch.device("meta"):
        model = wish_r50(80, teacher, pretrained=False)
    assert [tuple(p.shape) for p in model.prompt_head.parameters()] == [(256, 256), (256,)] * 3
    assert model.cam_head.classify.weight.shape == (80, 2048, 1, 1)
    assert model.cam_head.classify.bias is None and model.cam_head.level == -1
    assert model.segmenter.cost_weights == {"class": 2, "mask": 5, "dice": 5, "prompt": 5}
    assert (model.cam_warmup, model.self_start) == (30_000, 30_000)
    assert (model.peaks.least, model.peaks.window, model.peaks.most) == (0.3, 3, 32)
    assert model.distance == PromptDistance("kl", 1.0) and model.gate.least == 0.5
    small = wish_small(3, drawn_teacher(), WishParts(tokens="both"))
    assert small.prompt_head.layers[-1].out_features == 2 * WIDTH
    assert lab(WishParts(gate=None)).gate is None
