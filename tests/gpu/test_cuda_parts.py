"""The parts whose GPU form differs most from their CPU form, one by one."""

import pytest
import torch
from gpu_families import CATEGORIES, SIDE, small_sam
from torchvision.ops import batched_nms

from wsislib.data.sample import Candidates, Label, LabelKind
from wsislib.data.world import WorldDataset, WorldSpec
from wsislib.losses.points import random_points
from wsislib.losses.targets import mask_targets
from wsislib.matching import class_term, hungarian_match, mask_terms
from wsislib.models.mask2former.deformable_attention import (
    DeformableAttention,
    TokenGrid,
    sample_levels,
)
from wsislib.models.maskrcnn.builders import mask_rcnn_lab
from wsislib.models.maskrcnn.detector import DetectedRegions
from wsislib.models.sam.prompts import Prompts
from wsislib.models.wish.candidate_choice import Gate, choose
from wsislib.models.wish.prompt_head import PromptHead
from wsislib.models.wish.pseudo_points import PeakRule, find_peaks, mask_nms

pytestmark = pytest.mark.usefixtures("exact")
SHAPES = ((6, 8), (12, 16), (24, 32))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def near(found, wanted, **tolerance):
    torch.testing.assert_close(found.cpu(), wanted, check_dtype=False, **tolerance)


def random_boxes(count: int, side: int) -> torch.Tensor:
    corner = torch.rand(count, 2, generator=generator()) * side * 0.6
    return torch.cat([corner, corner + side * 0.3], 1)


def test_deformable_attention_samples_alike(device):
    g = generator()
    cells = sum(height * width for height, width in SHAPES)
    shape = (2, 40, 4, len(SHAPES), 4)
    values = torch.randn(2, cells, 4, 8, generator=g)
    x, y = (torch.rand(shape, generator=g) * 40 - 4 for _ in range(2))
    weights = torch.rand(shape, generator=g)
    outcomes = []
    for place in ("cpu", device):
        leaves = [t.to(place).requires_grad_() for t in (values, x, y, weights)]
        answer = sample_levels(*leaves, SHAPES)
        outcomes.append([answer, *torch.autograd.grad(answer.square().sum(), leaves)])
    for wanted, found in zip(*outcomes, strict=True):
        near(found, wanted, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_deformable_attention_as_a_layer(precision, device):
    torch.manual_seed(0)
    layer = DeformableAttention(32, heads=4)
    x = torch.randn(2, sum(h * w for h, w in SHAPES), 32)
    with torch.no_grad():
        wanted = layer(x, x[:1], TokenGrid.of(SHAPES, torch.device("cpu")))
        with torch.autocast(device.type, precision, enabled=precision == torch.bfloat16):
            x = x.to(device)
            found = layer.to(device)(x, x[:1], TokenGrid.of(SHAPES, device)).float()
    loose = 2e-2 if precision == torch.bfloat16 else 1e-4
    near(found, wanted, atol=loose * float(wanted.abs().max()), rtol=0)


def test_matching(device):
    scenes = WorldDataset(WorldSpec(CATEGORIES), seed=1, count=2, size=SIDE)
    g, costs, found = generator(), [], []
    classes = torch.randn(3, 2, 20, CATEGORIES + 1, generator=g)
    embeddings, features = (
        torch.randn(3, 2, 20, 8, generator=g),
        torch.randn(2, 8, 16, 16, generator=g),
    )
    for place in (torch.device("cpu"), device):
        targets = mask_targets([scenes[i].to(place) for i in range(2)])
        extent = torch.ones(2, 2, device=place)
        points = random_points(2, 500, extent, generator())
        said = [t.to(place) for t in (embeddings, features)]
        bce, dice = mask_terms(*said, targets, points, extent)
        terms = {
            "class": class_term(classes.to(place), targets),
            "mask": bce[..., 0],
            "dice": dice[..., 0],
        }
        costs.append(terms)
        found.append(hungarian_match(terms, {"class": 2.0, "mask": 5.0, "dice": 5.0}, targets))
    for name, cost in costs[0].items():
        near(costs[1][name], cost, atol=1e-4, rtol=1e-4)
    assert found[1].query.device.type == device.type
    assert found[1].query.tolist() == found[0].query.tolist()


def test_candidates_are_chosen_alike(device):
    boxes = random_boxes(6, SIDE)
    masks = torch.zeros(6, 3, SIDE, SIDE, dtype=torch.bool)
    for entry, (x0, y0, x1, y1) in enumerate(boxes.int().tolist()):
        for place, grown in enumerate((-4, 0, 8)):
            masks[
                entry, place, max(0, y0 - grown) : y1 + grown, max(0, x0 - grown) : x1 + grown
            ] = True
    quality = torch.rand(6, 3, generator=generator())
    kinds = torch.tensor([1, 2] * 3, dtype=torch.uint8)
    label = Label(
        LabelKind.POINT, torch.arange(6) % CATEGORIES, points=(boxes[:, :2] + boxes[:, 2:]) / 2,
        boxes=boxes, kinds=kinds, candidates=Candidates(masks, quality),
    )  # fmt: skip
    gate, answers = Gate(min_box_iou=0.5), []
    for own in (label, label.to(device)):
        allowed = gate(own, own.candidates)
        chosen = [choose(own.candidates, allowed, c) for c in ("best", "largest", "average")]
        answers.append([allowed, gate.unanswered(own, own.candidates), *(a for _, a in chosen)])
    for wanted, found in zip(*answers, strict=True):
        assert found.tolist() == wanted.tolist()


def test_peaks_and_pseudo_points(device):
    maps = torch.randn(CATEGORIES, 24, 24, generator=generator())
    tags, rule, teacher, answers = torch.tensor([0, 2, 3]), PeakRule(top_k=4), small_sam(), []
    image = torch.rand(3, SIDE, SIDE, generator=generator())
    for place in ("cpu", device):
        peaks = find_peaks(maps.to(place), tags.to(place), rule)
        points = peaks.cells.flip(-1).float() * SIDE / 24 + 1.0
        embedded = teacher.to(place).embed([image.to(place)])

        def ask(points, teacher=teacher, embedded=embedded):
            (offered,) = teacher.candidates(embedded, [Prompts(points=points)])
            return Candidates(offered.masks, offered.scores.clamp(0, 1))

        merged = mask_nms(points, peaks.categories, ask, 0.5)
        answers.append((peaks.cells.tolist(), peaks.categories.tolist(), len(merged)))
    assert answers[1][:2] == answers[0][:2]
    assert answers[1][2] == pytest.approx(answers[0][2], abs=1)  # an overlap may lie on the limit


@pytest.mark.parametrize("kind", ["points", "boxes"])
def test_sam_answers_a_prompt(kind, device):
    boxes = random_boxes(5, SIDE)
    given = Prompts(boxes=boxes) if kind == "boxes" else Prompts(points=boxes[:, :2])
    moved = Prompts(**{kind: getattr(given, kind).to(device)})
    image = torch.rand(3, SIDE, SIDE + 20, generator=generator())
    teacher = small_sam()
    size = (SIDE, SIDE + 20)
    tokens = teacher.prompt_embeddings(given, size)
    (wanted,) = teacher.candidates([image], [given])
    teacher.to(device)
    near(teacher.prompt_embeddings(moved, size), tokens, atol=1e-4, rtol=1e-4)
    (found,) = teacher.candidates([image.to(device)], [moved])
    near(found.low_logits, wanted.low_logits, atol=1e-2, rtol=1e-3)
    near(found.scores, wanted.scores, atol=1e-3, rtol=1e-3)
    assert float((found.masks.cpu() == wanted.masks).float().mean()) > 0.999


@pytest.mark.parametrize("tokens", ["mean", "both", "by-kind"])
def test_the_prompt_head(tokens, device):
    boxes = random_boxes(4, SIDE)
    kinds = torch.tensor([1, 2, 1, 2], dtype=torch.uint8)
    label = Label(
        LabelKind.POINT, torch.zeros(4, dtype=torch.int64), boxes[:, :2], boxes, kinds=kinds
    )
    teacher = small_sam()
    torch.manual_seed(0)
    head = PromptHead(16, 16, teacher.width, tokens)
    states = torch.randn(2, 1, 4, 16)
    wanted = head.targets(label, (SIDE, SIDE), teacher), head(states)
    teacher.to(device), head.to(device)
    near(head.targets(label.to(device), (SIDE, SIDE), teacher), wanted[0], atol=1e-4, rtol=1e-4)
    near(head(states.to(device)), wanted[1], atol=1e-4, rtol=1e-4)


def test_masks_are_pasted(device):
    model = mask_rcnn_lab(CATEGORIES).eval()
    boxes, size = random_boxes(8, SIDE), (SIDE, SIDE)
    logits = torch.randn(8, 28, 28, generator=generator())
    answers = []
    for place in ("cpu", device):
        rest = [t.to(place) for t in (torch.ones(8), torch.ones(8, dtype=torch.int64))]
        found = DetectedRegions({}, [size], [size], [boxes.to(place)], [rest[0]], [rest[1]])
        answers.append(model.paste_masks(found, logits.to(place))[0].masks.cpu())
    assert bool(answers[0].any())
    assert float((answers[0] == answers[1]).float().mean()) > 0.999


def test_nms(device):
    boxes = random_boxes(300, SIDE).round()
    scores = torch.randperm(300, generator=generator()) / 300
    labels = torch.arange(300) % 3
    kept = [batched_nms(*(t.to(p) for t in (boxes, scores, labels)), 0.5) for p in ("cpu", device)]
    assert kept[1].tolist() == kept[0].tolist()
