"""Padding: what a network reads past an image's end is what it reads past a map's end."""

import pytest
import torch
from torch import nn
from torchvision.models.resnet import BasicBlock, ResNet

from tests.numeric import OTHER_CODE, OTHER_SHAPE, close
from wsislib.models.mask2former.padding import PaddedGroupNorm, Padding, upsample
from wsislib.models.mask2former.positions import sine_positions
from wsislib.models.mask2former.preprocess import Preprocess

CPU = torch.device("cpu")


def on_canvas(x, height, width, fill=7.0):
    """(1, C, h, w) in the corner of a canvas full of rubbish."""
    canvas = torch.full((1, x.shape[1], height, width), fill)
    canvas[..., : x.shape[2], : x.shape[3]] = x
    return canvas


def test_cells_and_masks():
    padding = Padding([(64, 33), (10, 64)], (64, 64))
    assert padding.cells(64, 64) == [(64, 33), (10, 64)]
    assert padding.cells(4, 4) == [(4, 3), (1, 4)]
    valid = padding.valid(4, 4, CPU)
    assert valid.shape == (2, 1, 4, 4)
    assert valid.sum((1, 2, 3)).tolist() == [12, 4]
    assert valid[0, 0, :, :3].all() and valid[1, 0, 0].all()
    covered, area = padding.extents(CPU)
    assert covered.tolist() == [[33 / 64, 1.0], [1.0, 10 / 64]]
    assert torch.equal(covered, area)


def test_nothing_to_hide():
    x = torch.randn(2, 3, 4, 4)
    for padding in (Padding([(8, 8)] * 2, (8, 8)), Padding([(8, 8), (4, 8)], (8, 8), False)):
        assert padding.valid(4, 4, CPU) is None and padding.clear(x) is x
        assert padding.cells(4, 4) == [(4, 4)] * 2
    covered, area = padding.extents(CPU)
    assert covered[1].tolist() == [1.0, 0.5] and (area == 1).all()


@pytest.mark.parametrize("size", [(64, 64), (57, 33), (40, 61)])
def test_resnet_sees_the_same_alone_and_padded(size):
    torch.manual_seed(0)
    net = ResNet(BasicBlock, [1, 1, 1, 1]).eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.bias)  # makes zeros into something
    body = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool, net.layer1, net.layer2)
    height, width = size
    image = torch.randn(1, 3, height, width)
    alone = Padding([size], (64, 64))
    wide = Padding([size], (128, 96))
    with torch.no_grad(), alone.hidden_from(body):
        small = body(on_canvas(image, 64, 64))
    with torch.no_grad(), wide.hidden_from(body):
        large = body(on_canvas(image, 128, 96, fill=-3.0))
    rows, columns = alone.cells(8, 8)[0]
    assert (rows, columns) == wide.cells(16, 12)[0]
    # Nine layers over values of a few units, of which the last are near zero by cancellation.
    alike = large[..., :rows, :columns]
    close(alike, small[..., :rows, :columns], OTHER_SHAPE, rtol=1e-4, atol=1e-4)
    if size != (64, 64):
        with torch.no_grad():
            seen = body(on_canvas(image, 128, 96, fill=-3.0))
        assert (seen[..., :rows, :columns] - small[..., :rows, :columns]).abs().max() > 0.1
    else:
        with torch.no_grad():
            why = "nothing is cleared, so other code may run"
            close(small, body(image), why, rtol=1e-4, atol=1e-4)


def test_hooks_are_gone_afterwards():
    net = nn.Sequential(nn.Conv2d(3, 3, 3), nn.MaxPool2d(2), nn.Conv2d(3, 3, 1))
    with pytest.raises(RuntimeError, match="oops"), Padding([(4, 4)], (8, 8)).hidden_from(net):
        assert [len(layer._forward_pre_hooks) for layer in net] == [1, 1, 0]
        raise RuntimeError("oops")
    assert all(not layer._forward_pre_hooks for layer in net)


def test_group_norm_of_the_image_alone():
    torch.manual_seed(0)
    norm = PaddedGroupNorm(2, 6)
    nn.init.normal_(norm.weight), nn.init.normal_(norm.bias)
    x = torch.randn(1, 6, 3, 5)
    found = norm(on_canvas(x, 8, 8), Padding([(3, 5)], (8, 8)))
    close(found[..., :3, :5], norm(x), OTHER_CODE, atol=1e-5)


def test_upsampling_repeats_the_last_cell():
    x = torch.randn(1, 2, 3, 2)
    wanted = nn.functional.interpolate(x, size=(6, 4), mode="bilinear", align_corners=False)
    found = upsample(on_canvas(x, 8, 8), (16, 16), Padding([(24, 16)], (64, 64)))
    close(found[..., :6, :4], wanted, OTHER_SHAPE, atol=1e-5)


def test_positions_run_over_each_image():
    padding = Padding([(32, 64), (64, 64)], (64, 64))
    both = sine_positions(16, 8, 8, padding, CPU).unflatten(1, (8, 8))
    alone = sine_positions(16, 4, 8, Padding([(32, 64)], (32, 64)), CPU).unflatten(1, (4, 8))
    close(both[0, :4], alone[0], OTHER_SHAPE, atol=1e-5)  # sines of up to 2 pi
    whole = sine_positions(16, 8, 8, Padding([(64, 64)] * 2, (64, 64)), CPU)
    assert whole.shape == (1, 64, 16)
    close(both[1].flatten(0, 1), whole[0], OTHER_SHAPE, atol=1e-5)


def test_framing_normalises_resizes_and_pads():
    framing = Preprocess([0.5] * 3, [0.25] * 3, 32, (48, 64), "predicting")
    images = [torch.rand(3, 24, 30), torch.rand(3, 50, 100)]
    trained = framing(images, True)
    assert trained.pixels.shape == (2, 3, 64, 128)
    assert trained.padding.sizes == ((24, 30), (50, 100))
    close(trained.pixels[0, :, :24, :30], (images[0] - 0.5) / 0.25, OTHER_CODE)
    assert (trained.pixels[0, :, 24:] == 0).all()
    predicted = framing(images, False)
    assert predicted.padding.sizes == ((48, 60), (32, 64))
    assert predicted.pixels.shape == (2, 3, 64, 64)
    assert predicted.originals == ((24, 30), (50, 100))
