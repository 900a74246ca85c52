"""Weight transfer and the MLP branch as parts: against hand-written loops, at paper size."""

import copy
import math

import pytest
import torch
from torch import nn
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor

from tests.numeric import OTHER_CODE, close
from wsislib.models.maskrcnn.builders import (
    add_mlp_branch,
    maskx_rcnn_lab,
    maskx_rcnn_r50_fpn,
    maskx_rcnn_r101_fpn,
    transfer_predictor,
)
from wsislib.models.maskrcnn.mask_mlp import MaskMLP
from wsislib.models.maskrcnn.transfer import (
    ClassWeights,
    FixedRows,
    TransferPredictor,
    WeightTransfer,
    random_vectors,
)

CATEGORIES, FEATURES, WIDTH = 5, 7, 4
SLOPES = {"leaky-relu": 0.1, "relu": 0.0, "none": 1.0}


@pytest.fixture
def box_predictor():
    torch.manual_seed(0)
    return FastRCNNPredictor(FEATURES, CATEGORIES + 1)


def by_hand(transfer, row, slope):
    """T of one row, number by number."""
    for depth, layer in enumerate(transfer.layers):
        if depth:
            row = [value if value > 0 else slope * value for value in row]
        row = [
            sum(w * v for w, v in zip(weights, row, strict=True)) + bias
            for weights, bias in zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
        ]
    return row


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("activation", ["leaky-relu", "relu", "none"])
def test_transfer_equals_a_loop_over_categories(layers, activation):
    torch.manual_seed(1)
    transfer = WeightTransfer(6, WIDTH, layers, activation)
    for layer in transfer.layers:
        nn.init.normal_(layer.bias)
    rows = torch.randn(CATEGORIES + 1, 6)
    looped = [by_hand(transfer, row, SLOPES[activation]) for row in rows.tolist()]
    close(transfer(rows), torch.tensor(looped), OTHER_CODE, rtol=1e-4, atol=1e-5)
    assert [layer.weight.shape[0] for layer in transfer.layers] == [WIDTH] * layers


def test_rows_are_the_categories_own_weights(box_predictor):
    cls, box = box_predictor.cls_score.weight, box_predictor.bbox_pred.weight
    for c in range(CATEGORIES + 1):
        own_box = torch.cat([box[4 * c + side] for side in range(4)])
        assert torch.equal(ClassWeights(box_predictor, "cls")()[c], cls[c])
        assert torch.equal(ClassWeights(box_predictor, "box")()[c], own_box)
        both = ClassWeights(box_predictor, "cls+box")
        assert torch.equal(both()[c], torch.cat([cls[c], own_box]))
        assert torch.equal(both(torch.tensor([c, 0]))[0], both()[c])
    assert both().shape == (both.count, both.width) == (CATEGORIES + 1, 5 * FEATURES)


@pytest.mark.parametrize("stop_gradient", [True, False])
def test_predictor_equals_a_loop_over_regions(box_predictor, stop_gradient):
    rows = ClassWeights(box_predictor, "cls+box")
    predictor = TransferPredictor(rows, WeightTransfer(rows.width, WIDTH), stop_gradient)
    x, labels = torch.randn(6, WIDTH, 3, 3), torch.tensor([3, 1, 0, 3, 5, 1])
    weights = predictor.mask_weights()  # (C + 1, WIDTH)
    looped = torch.stack(
        [torch.einsum("d,dhw->hw", weights[c], x[r]) for r, c in enumerate(labels.tolist())]
    )
    close(predictor(x, labels), looped, OTHER_CODE, atol=1e-5)
    wanted = torch.autograd.grad(looped.pow(2).sum(), list(predictor.transfer.parameters()))
    found = torch.autograd.grad(
        predictor(x, labels).pow(2).sum(), list(predictor.transfer.parameters())
    )
    for ours, other in zip(found, wanted, strict=True):
        # Relative to the largest, as sums over all pixels of all regions cancel.
        close(ours, other, OTHER_CODE, atol=1e-5 * other.abs().max().item())


def test_no_region_at_all_gives_no_map_with_a_gradient_path(box_predictor):
    predictor = transfer_predictor(box_predictor, WIDTH)
    logits = predictor(torch.randn(0, WIDTH, 3, 3), torch.zeros(0, dtype=torch.int64))
    assert logits.shape == (0, 3, 3)
    logits.sum().backward()
    assert all(p.grad is not None and not p.grad.any() for p in predictor.transfer.parameters())


def test_gradient_reaches_the_box_predictor_only_where_it_may(box_predictor):
    x, labels = torch.randn(4, WIDTH, 3, 3), torch.tensor([1, 2, 2, 5])
    for stop_gradient in (True, False):
        box_predictor.zero_grad(set_to_none=True)
        predictor = transfer_predictor(box_predictor, WIDTH, stop_gradient=stop_gradient)
        predictor(x, labels).pow(2).sum().backward()
        cls, box = box_predictor.cls_score, box_predictor.bbox_pred
        assert cls.bias.grad is None and box.bias.grad is None, "biases are no input of T"
        if stop_gradient:
            assert cls.weight.grad is None and box.weight.grad is None
            continue
        seen = torch.zeros(CATEGORIES + 1, dtype=torch.bool)
        seen[labels] = True
        assert torch.equal(cls.weight.grad.abs().sum(1) > 0, seen)
        assert torch.equal(box.weight.grad.view(CATEGORIES + 1, -1).abs().sum(1) > 0, seen)


def test_initial_weights_are_those_of_the_authors_code():
    torch.manual_seed(0)
    transfer = WeightTransfer(1280, 64, 2)
    for layer in transfer.layers:
        assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / 64), rel=0.05)
        assert not layer.bias.any()
    mlp = MaskMLP(8, 28, layers=2, hidden=64)
    assert mlp.layers[0].weight.std().item() == pytest.approx(math.sqrt(2 / 64), rel=0.05)
    assert mlp.layers[1].weight.std().item() == pytest.approx(0.001, rel=0.05)


def test_random_vectors_have_length_one_and_come_from_their_generator():
    one, two, other = (
        random_vectors(400, 300, torch.Generator().manual_seed(s)) for s in (0, 0, 1)
    )
    assert torch.equal(one, two) and not torch.equal(one, other)
    assert one.norm(dim=1).mean().item() == pytest.approx(1, abs=0.01)
    assert one.std().item() == pytest.approx(300**-0.5, rel=0.02)


def test_fixed_rows_put_background_first_and_are_saved_but_never_learnt(box_predictor):
    vectors = torch.randn(CATEGORIES, 3)
    predictor = transfer_predictor(box_predictor, WIDTH, "embedding", embedding=vectors)
    assert torch.equal(predictor.rows()[1:], vectors) and not predictor.rows()[0].any()
    assert "rows.rows" in predictor.state_dict()
    assert all("rows" not in name for name, _ in predictor.named_parameters())
    random = transfer_predictor(box_predictor, WIDTH, "random", seed=3)
    again = transfer_predictor(box_predictor, WIDTH, "random", seed=3)
    assert random.rows().shape == (CATEGORIES + 1, 300)
    assert torch.equal(random.rows(), again.rows())
    assert torch.equal(random.transfer.layers[0].weight, again.transfer.layers[0].weight)


def test_bad_embeddings_are_refused_with_the_reason():
    vectors = torch.randn(CATEGORIES, 3)
    with pytest.raises(ValueError, match="4 rows for 5 categories.*without one for background"):
        FixedRows(vectors[:4], CATEGORIES)
    with pytest.raises(ValueError, match="6 rows for 5 categories"):
        FixedRows(torch.cat([vectors, vectors[:1]]), CATEGORIES)
    with pytest.raises(ValueError, match=r"shape \(C, D\); got shape \(5,\)"):
        FixedRows(vectors[:, 0], CATEGORIES)
    vectors[2, 1], vectors[4, 0] = math.nan, math.inf
    with pytest.raises(ValueError, match=r"row 2 of the embedding \(and 1 more\) holds NaN"):
        FixedRows(vectors, CATEGORIES)


def test_bad_settings_are_refused_with_the_reason(box_predictor):
    vectors = torch.randn(CATEGORIES, 3)
    with pytest.raises(ValueError, match="input of weight transfer is 'clsbox'; use one of 'cls'"):
        transfer_predictor(box_predictor, WIDTH, "clsbox")
    with pytest.raises(ValueError, match="'random'; use one of 'cls', 'box', 'cls.box'$"):
        ClassWeights(box_predictor, "random")
    with pytest.raises(ValueError, match="is 'embedding', and none is given"):
        transfer_predictor(box_predictor, WIDTH, "embedding")
    with pytest.raises(ValueError, match="is 'cls', and an embedding is given too"):
        transfer_predictor(box_predictor, WIDTH, "cls", embedding=vectors)
    with pytest.raises(ValueError, match="4 layers; use 1, 2 or 3"):
        WeightTransfer(8, WIDTH, 4)
    with pytest.raises(ValueError, match="activation of weight transfer is 'gelu'"):
        WeightTransfer(8, WIDTH, 2, "gelu")
    with pytest.raises(ValueError, match="takes rows of 8 values, but w_det has 7"):
        TransferPredictor(ClassWeights(box_predictor, "cls"), WeightTransfer(8, WIDTH))
    with pytest.raises(ValueError, match="0 layers; use 1, 2 or 3"):
        MaskMLP(WIDTH, 28, layers=0)
    with pytest.raises(ValueError, match="pool is 3; it must divide the mask's side, 28"):
        MaskMLP(WIDTH, 28, pool=3)


def test_mlp_is_one_layer_over_the_whole_map():
    torch.manual_seed(2)
    mlp, x = MaskMLP(3, 4), torch.randn(2, 3, 4, 4)
    (layer,) = mlp.layers
    for r in range(2):
        rows = zip(layer.weight.detach(), layer.bias.tolist(), strict=True)
        looped = [float(w @ x[r].reshape(-1)) + b for w, b in rows]
        close(mlp(x)[r].flatten(), torch.tensor(looped), OTHER_CODE, rtol=1e-4, atol=1e-7)
    pooled = MaskMLP(3, 4, pool=2)
    assert pooled.layers[0].in_features == 3 * 2 * 2
    assert pooled(x).shape == (2, 4, 4)
    assert MaskMLP(3, 4, layers=3, hidden=6)(x).shape == (2, 4, 4)


def test_box_predictor_is_saved_once_and_followed_by_a_copy():
    model = maskx_rcnn_lab(CATEGORIES, mlp_layers=0)
    names = list(model.state_dict())
    assert sum("cls_score.weight" in name for name in names) == 1
    assert [n for n in names if n.startswith("mask.predictor.")] == [
        f"mask.predictor.transfer.layers.{i}.{part}" for i in (0, 1) for part in ("weight", "bias")
    ]
    parameters = list(model.parameters())
    assert len(parameters) == len({id(p) for p in parameters})
    twin = copy.deepcopy(model)
    nn.init.ones_(twin.roi.box_predictor.cls_score.weight)
    before = model.mask.predictor.mask_weights()
    assert not torch.equal(twin.mask.predictor.mask_weights(), before)
    nn.init.ones_(model.roi.box_predictor.cls_score.weight)
    assert not torch.equal(model.mask.predictor.mask_weights(), before)


@pytest.mark.parametrize(("inputs", "width"), [("cls", 1024), ("box", 4096), ("cls+box", 5120)])
def test_paper_size_follows_the_official_code(inputs, width):
    with torch.device("meta"):
        model = maskx_rcnn_r50_fpn(80, inputs, pretrained=False)
        rows = model.mask.predictor.rows()
        assert rows.shape == (81, width)
        assert model.mask.predictor.mask_weights().shape == (81, 256)
    transfer, mlp = model.mask.predictor.transfer, model.mask.mlp
    assert [tuple(layer.weight.shape) for layer in transfer.layers] == [(256, width), (256, 256)]
    assert transfer.slope == 0.1 and model.mask.predictor.stop_gradient
    if inputs == "cls+box":
        assert sum(p.numel() for p in transfer.parameters()) == 1_376_768
    assert sum(p.numel() for p in mlp.parameters()) == 200_704 * 784 + 784


def test_paper_size_of_the_large_vocabulary_and_of_the_larger_backbone():
    with torch.device("meta"):
        model = maskx_rcnn_r101_fpn(3001, pretrained=False)
        assert model.mask.predictor.mask_weights().shape == (3002, 256)
        x = torch.empty(9, 256, 28, 28)
        # `unique` has no meta kernel, its answer depends on values: the rest of the forward pass.
        own = model.mask.predictor.mask_weights()[torch.zeros(9, dtype=torch.int64)]
        assert own.shape == (9, 256) and model.mask.mlp(x).shape == (9, 28, 28)
    assert sum(p.numel() for p in model.mask.predictor.parameters()) == 1_376_768


def test_mlp_joins_a_class_agnostic_head_too(make_sample):
    from wsislib.models.maskrcnn.builders import mask_rcnn_lab

    model = add_mlp_branch(mask_rcnn_lab(CATEGORIES, seed=1), pool=2, seed=1)
    plain = mask_rcnn_lab(CATEGORIES, seed=1)
    assert torch.equal(plain.mask.predictor.weight, model.mask.predictor.weight)
    pooled, labels = torch.randn(3, 64, 14, 14), torch.tensor([1, 2, 3])
    fcn, mlp = model.mask.logit_parts(pooled, labels)
    assert torch.equal(fcn, plain.mask.logits(pooled, labels)) and mlp.abs().sum() > 0
    assert torch.equal(model.mask.logits(pooled, labels), fcn + mlp)
    assert plain.mask.logit_parts(pooled, labels)[1] is None
