"""Mask2Former: equal to Hugging Face's on the same weights."""

from types import SimpleNamespace

import pytest
import torch
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.resnet import BasicBlock, ResNet
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, ResNetConfig

from benchmarks.hf_weights import load_hf_weights
from tests.numeric import OTHER_CODE, close
from wsislib.data.sample import LabelKind
from wsislib.losses.points import PointSampling
from wsislib.losses.targets import mask_targets
from wsislib.models.mask2former.builders import COST_WEIGHTS, mask2former_lab, mask2former_r50
from wsislib.models.mask2former.mask2former import Mask2Former
from wsislib.models.mask2former.pixel_decoder import DeformablePixelDecoder
from wsislib.models.mask2former.preprocess import Preprocess
from wsislib.models.mask2former.query_decoder import QueryDecoder

CATEGORIES, QUERIES, LAYERS, WIDTH, POINTS = 5, 9, 4, 64, 300
STAGES = ["stage1", "stage2", "stage3", "stage4"]


def theirs() -> Mask2FormerForUniversalSegmentation:
    """A small one; every weight moved, so that none is at a value that hides a mistake."""
    backbone = ResNetConfig(
        embedding_size=64, hidden_sizes=[64, 128, 256, 512], depths=[1] * 4, layer_type="basic",
        out_features=STAGES,
    )  # fmt: skip
    config = Mask2FormerConfig(
        backbone_config=backbone, num_labels=CATEGORIES, num_queries=QUERIES,
        decoder_layers=LAYERS + 1, encoder_layers=2, feature_size=WIDTH, mask_feature_size=WIDTH,
        hidden_dim=WIDTH, encoder_feedforward_dim=96, dim_feedforward=80, num_attention_heads=4,
        train_num_points=POINTS,
    )  # fmt: skip
    torch.manual_seed(0)
    model = Mask2FormerForUniversalSegmentation(config).eval()
    with torch.no_grad():
        for tensor in model.parameters():
            tensor += 0.02 * torch.randn_like(tensor)
        for name, tensor in model.named_buffers():
            if name.endswith("running_mean"):
                tensor.normal_(std=0.1)
            elif name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
        # Masks that are neither empty nor full, and classes that differ.
        model.class_predictor.weight *= 5
    return model


def ours(hide_padding: bool = False) -> Mask2Former:
    """The same configuration from our parts."""
    body = ResNet(BasicBlock, [1, 1, 1, 1])
    levels = {f"layer{i}": str(i - 1) for i in (1, 2, 3, 4)}
    return Mask2Former(
        Preprocess([0.0] * 3, [1.0] * 3, 32, hide_padding=hide_padding),
        IntermediateLayerGetter(body, levels),
        DeformablePixelDecoder((64, 128, 256, 512), WIDTH, WIDTH, 2, heads=4, hidden=96),
        QueryDecoder(CATEGORIES, QUERIES, WIDTH, WIDTH, LAYERS, heads=4, hidden=80),
        PointSampling(POINTS),
        COST_WEIGHTS,
    ).eval()


@pytest.fixture(scope="module")
def pair():
    peer, model = theirs(), ours()
    load_hf_weights(model, peer.state_dict(), learns_from={LabelKind.MASK})
    return model, peer


@pytest.fixture
def batch(make_sample):
    """Two images, of which each is padded on another side."""
    return [make_sample(0, 3, 96, 70), make_sample(1, 4, 64, 128)]


@pytest.fixture
def inputs(batch):
    """The same batch as Hugging Face takes it: images and masks padded with zeros."""
    height, width = 96, 128
    pixels = torch.zeros(len(batch), 3, height, width)
    masks = []
    for canvas, sample in zip(pixels, batch, strict=True):
        h, w = sample.image.shape[1:]
        canvas[:, :h, :w] = sample.image
        padded = torch.zeros(len(sample.label), height, width)
        padded[:, :h, :w] = sample.label.masks
        masks.append(padded)
    classes = [sample.label.categories for sample in batch]
    return SimpleNamespace(pixels=pixels, masks=masks, classes=classes)


def said_by(peer, inputs):
    """Class and mask logits of all layers, (L, B, Q, C + 1) and (L, B, Q, h, w)."""
    answer = peer(inputs.pixels, output_auxiliary_logits=True)
    layers = [*answer.auxiliary_logits, answer]
    return tuple(
        torch.stack([layer[name] for layer in layers])
        for name in ("class_queries_logits", "masks_queries_logits")
    )


@torch.no_grad()
def test_class_and_mask_logits_of_every_layer(pair, batch, inputs):
    model, peer = pair
    classes, masks = said_by(peer, inputs)
    said = model.decode(model.framing([sample.image for sample in batch], True))
    found = torch.stack([said.masks(layer) for layer in range(LAYERS + 1)])
    assert 0.02 < (masks > 0).float().mean() < 0.98, "the comparison needs masks of both kinds"
    close(said.classes, classes, OTHER_CODE, rtol=1e-4, atol=1e-4)
    close(found, masks, OTHER_CODE, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_assignments_are_equal(pair, batch, inputs, same_points):
    model, peer = pair
    classes, masks = said_by(peer, inputs)
    said = model.decode(model.framing([sample.image for sample in batch], True))
    targets = mask_targets(batch)
    found = model.match(said, targets, None)
    for layer in range(LAYERS + 1):
        wanted = peer.criterion.matcher(masks[layer], classes[layer], inputs.masks, inputs.classes)
        expected, start = torch.empty(len(targets), dtype=torch.int64), 0
        for (query, instance), count in zip(wanted, targets.counts, strict=True):
            expected[start + instance] = query
            start += count
        # Any other assignment costs 4e-4 more at least, and the two tables differ by some 1e-5.
        assert torch.equal(found.query[layer], expected), layer
    assert (found.replaced, found.left_over) == (0, 0)
    assert len(found.query.unique(dim=0)) > 1, "the comparison needs layers that differ"


def test_loss_terms_and_gradients(pair, batch, inputs, same_points):
    model, peer = pair
    classes, masks = said_by(peer, inputs)
    aux = [
        {"masks_queries_logits": m, "class_queries_logits": c}
        for m, c in zip(masks[:-1], classes[:-1], strict=True)
    ]
    wanted = peer.criterion(masks[-1], classes[-1], inputs.masks, inputs.classes, aux)
    found = model.losses(batch)
    names = {"loss_class": "loss_cross_entropy", "loss_mask": "loss_mask", "loss_dice": "loss_dice"}
    for own, other in names.items():
        total = sum(value for name, value in wanted.items() if name.startswith(other))
        close(found[own], total, f"{own}: {OTHER_CODE}", rtol=1e-4, atol=1e-4)

    peer.zero_grad(), model.zero_grad()
    sum(wanted.values()).backward()
    sum(found.values()).backward()
    gradients = {name: p.grad for name, p in peer.named_parameters() if p.grad is not None}
    model_gradients = ours()
    load_hf_weights(
        model_gradients,
        {n: gradients.get(n, torch.zeros_like(t)) for n, t in peer.state_dict().items()},
        learns_from={LabelKind.MASK},
    )
    expected = dict(model_gradients.named_parameters())
    for name, p in model.named_parameters():
        scale = expected[name].abs().max().clamp(min=1e-3)
        assert ((p.grad - expected[name]).abs().max() / scale) < 1e-2, name


def test_names_of_the_paper_size_are_all_translated():
    backbone = ResNetConfig(out_features=STAGES)
    with torch.device("meta"):
        peer = Mask2FormerForUniversalSegmentation(
            Mask2FormerConfig(backbone_config=backbone, num_labels=80)
        )
        model = mask2former_r50(80, pretrained=False)
        frozen = mask2former_r50(80, pretrained=True, fetch=False)
    state = {name: tensor.to("meta") for name, tensor in peer.state_dict().items()}
    for made in (model, frozen):
        load_hf_weights(made, state, learns_from={LabelKind.MASK})


@pytest.mark.parametrize("kind", [LabelKind.TAG, LabelKind.POINT, LabelKind.BOX])
def test_weights_that_saw_masks_are_refused_for_weak_labels(pair, kind):
    _, peer = pair
    model, state = ours(), peer.state_dict()
    before = model.query_decoder.classify.weight.clone()
    with pytest.raises(ValueError, match=f"kind {kind.name}, but .* trained on masks.*allow_masks"):
        load_hf_weights(model, state, learns_from=[LabelKind.MASK, kind])
    assert torch.equal(model.query_decoder.classify.weight, before)
    load_hf_weights(model, state, learns_from=[LabelKind.MASK, kind], allow_masks=True)
    assert not torch.equal(model.query_decoder.classify.weight, before)


def test_weights_of_another_model_are_refused(pair):
    _, peer = pair
    state, masks = dict(peer.state_dict()), {LabelKind.MASK}
    with pytest.raises(ValueError, match="another model .*bn3.bias is missing.*more.*Build the"):
        load_hf_weights(mask2former_r50(80, pretrained=False), state, learns_from=masks)
    more = {**state, "class_predictor.bias": torch.zeros(81)}
    with pytest.raises(ValueError, match="classify.bias is .81,., here .6,"):
        load_hf_weights(ours(), more, learns_from=masks)
    with pytest.raises(ValueError, match="FPNDecoder has no counterpart"):
        load_hf_weights(mask2former_lab(CATEGORIES), state, learns_from=masks)
    del state["class_predictor.bias"]
    state["swin.layer"] = torch.zeros(1)
    wanted = "swin.layer is not in this model; query_decoder.classify.bias is missing"
    with pytest.raises(ValueError, match=wanted):
        load_hf_weights(ours(), state, learns_from=masks)
