"""Weights of the package: read whole or not at all, and into the network that they are of."""

import pytest
import torch
from torch import nn

from wsislib.engine.weights import write_tensors
from wsislib.models.assets import has_asset, load_asset, read_asset


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


@pytest.fixture
def kept(tmp_path):
    """A network without its head, written in float16."""
    torch.manual_seed(0)
    made = network()
    tensors = {
        name: value.half() if value.is_floating_point() else value
        for name, value in made.state_dict().items()
        if not name.startswith("2.")
    }
    write_tensors(tmp_path / "toy.safetensors", tensors, {})
    return made, tmp_path


def test_half_floats_are_read_as_floats_and_whole_numbers_as_they_are(kept):
    made, folder = kept
    tensors, _ = read_asset("toy", folder)
    assert tensors["0.weight"].dtype == torch.float32
    assert tensors["1.num_batches_tracked"].dtype == torch.int64
    assert torch.equal(tensors["0.weight"], made[0].weight.half().float())
    assert has_asset("toy", folder) and not has_asset("other", folder)


def test_all_but_what_is_new_is_put_into_the_model(kept):
    made, folder = kept
    model = network()
    head = model[2].weight.clone()
    manifest = load_asset("toy", model, ("2.",), folder)
    assert torch.equal(model[0].weight, made[0].weight.half().float())
    assert torch.equal(model[2].weight, head)
    assert len(manifest["sha256"]) == 64


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Linear(3, 5)), r"0.bias is \(4,\) in the file, \(5,\) in the model"),
        (network(), r"2.bias is not there in the file, \(2,\) in the model"),
    ],
)
def test_weights_of_another_network_are_refused(kept, model, message):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=f"toy.safetensors: weights of another network.*{message}"):
        load_asset("toy", model, (), kept[1])
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_file_cut_short_is_refused(kept):
    path = kept[1] / "toy.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="toy.safetensors: cut short or altered"):
        load_asset("toy", network(), ("2.",), kept[1])
