"""A start from torchvision's Mask R-CNN: the same numbers come out of what is taken over."""

import re
from urllib.error import URLError

import pytest
import torch
from torch import nn
from torchvision.models.detection import maskrcnn_resnet50_fpn

from tests.numeric import close
from wsislib.models.maskrcnn.builders import mask_rcnn_r50_fpn
from wsislib.models.maskrcnn.coco_start import COCO_URL, load_coco, read_coco_weights

NAMES_NOW_AND_THEN = (  # the published file has the names of 2019
    (r"(inner|layer)_blocks\.(\d)\.0\.", r"\1_blocks.\2."),
    (r"rpn\.head\.conv\.0\.0\.", "rpn.head.conv."),
)


def then(name: str) -> str:
    for pattern, old in NAMES_NOW_AND_THEN:
        name = re.sub(pattern, old, name)
    return re.sub(r"mask_head\.(\d)\.0\.", lambda m: f"mask_head.mask_fcn{int(m[1]) + 1}.", name)


@pytest.fixture(scope="module")
def published():
    """torchvision's model with random weights and an epsilon of 0, as its published one has."""
    torch.manual_seed(0)
    model = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 0.0
            nn.init.uniform_(module.running_var, 1.0, 4.0)
            nn.init.normal_(module.running_mean, std=0.1)
    model.backbone.body.bn1.running_var[:4] = 1e-6  # less than our epsilon
    return model


def test_what_is_taken_over_computes_the_same(published):
    model = mask_rcnn_r50_fpn(3, fetch=False).eval()
    new = model.roi.box_predictor.cls_score.weight.clone()
    load_coco(model, {then(name): value for name, value in published.state_dict().items()})
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        theirs, ours = published.backbone(image), model.backbone(image)
        for name, maps in theirs.items():
            scale = maps.abs().max()
            close(ours[name] / scale, maps / scale, "norms multiply in another order", atol=1e-4)
        maps = list(theirs.values())
        for mine, their in zip(model.rpn.head(maps), published.rpn.head(maps), strict=True):
            assert all(torch.equal(a, b) for a, b in zip(mine, their, strict=True))
    heads = published.roi_heads
    pairs = [
        (model.roi.box_head, heads.box_head),
        (model.mask.trunk, heads.mask_head),
        (model.mask.up, heads.mask_predictor.conv5_mask),
    ]
    for mine, their in pairs:
        for a, b in zip(mine.parameters(), their.parameters(), strict=True):
            assert torch.equal(a, b)
    assert torch.equal(model.roi.box_predictor.cls_score.weight, new)


def test_weights_of_another_network_are_refused(published):
    state = {k: v for k, v in published.state_dict().items() if "box_head.fc7" not in k}
    with pytest.raises(ValueError, match="not the weights of torchvision's.*box_head differs.*fc7"):
        load_coco(mask_rcnn_r50_fpn(3, fetch=False), state)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of torch and no network."""

    def no_network(*_):
        raise URLError("no network")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    return tmp_path / "checkpoints"


def test_weights_out_of_reach_are_named(cache):
    name = COCO_URL.rpartition("/")[2]
    message = f"{name}: not there, and could not be fetched .*no network.*{COCO_URL} into {cache}"
    with pytest.raises(ValueError, match=message):
        read_coco_weights()


def test_altered_weights_are_refused(cache):
    cache.mkdir()
    (cache / COCO_URL.rpartition("/")[2]).write_bytes(b"weights of somebody else")
    with pytest.raises(ValueError, match="cut short or altered .*instead of bf2d0c1e.; delete it"):
        read_coco_weights()
