"""More objects in an image than a model can find: said with the ceiling, and mended."""

import pytest
import torch

from tests.photos import own_folder
from wsislib.models.mask2former.builders import mask2former_small
from wsislib.models.maskrcnn.builders import mask_rcnn_small
from wsislib.photos.capacity import capacity_of, capacity_warning, raise_capacity
from wsislib.photos.recipe import load_model


def test_queries_are_added_beside_those_that_are_there():
    network = mask2former_small(2, 0, (64, 64)).eval()
    assert capacity_of(network) == 40
    before = network.query_decoder.queries.weight.detach().clone()
    raise_capacity(network, 30, 0)
    assert capacity_of(network) == 40
    raise_capacity(network, 150, 0)
    assert capacity_of(network) == 150
    assert torch.equal(network.query_decoder.queries.weight[:40], before)
    assert network.query_decoder.places.weight.requires_grad
    (found,) = network.predict([torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))])
    assert len(found) <= 150


def test_a_mask_rcnn_keeps_more_detections():
    network = mask_rcnn_small(2, image_side=(64, 64))
    assert capacity_of(network) == 100
    raise_capacity(network, 180, 0)
    assert capacity_of(network) == 180
    assert network.rpn.post_nms_top_n() >= 180


def test_the_warning_names_ceiling_and_option():
    amounts = {1: {1: 150}, 2: {1: 150}, 3: {1: 4}}
    assert capacity_warning(amounts, 150) is None
    said = capacity_warning(amounts, 40)
    assert "2 images hold more objects (up to 150) than this model finds in one (40)" in said
    assert "AP can be 27.7 at most; --max-objects 150" in said  # 84 of 304: recalls 0 to 0.27


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return own_folder.draw(tmp_path_factory.mktemp("own") / "data", 2)


def test_room_is_made_on_demand_and_kept(folder, tmp_path, capsys):
    def many(document):
        one = document["annotations"][0]
        document["annotations"] += [{**one, "id": 1000 + i, "area": None} for i in range(120)]

    path = own_folder.edited(folder, many)
    own_folder.train(folder, tmp_path / "a", annotations=path, steps=0)
    assert "1 images hold more objects" in capsys.readouterr().out
    own_folder.train(folder, tmp_path / "b", annotations=path, steps=0, max_objects=140)
    assert "hold more objects" not in capsys.readouterr().out
    assert capacity_of(load_model(tmp_path / "b")[0]) == 140
