"""Devices are chosen by themselves, may be overruled, and have names."""

import pytest
import torch

from wsislib.engine.device import autocast, available_devices, describe_device, pick_device


def test_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WSIS_DEVICE", raising=False)
    assert pick_device().type == available_devices()[0]
    assert pick_device("cpu") == torch.device("cpu")
    monkeypatch.setenv("WSIS_DEVICE", "cpu")
    assert pick_device("auto") == torch.device("cpu")
    monkeypatch.setenv("WSIS_DEVICE", "tpu")
    with pytest.raises(ValueError, match=r"WSIS_DEVICE 'tpu' is not available.*cpu"):
        pick_device()
    assert pick_device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "meta", "cuda:99", ""])
def test_unknown_device_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="device"):
        pick_device(name)


def test_fastest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WSIS_DEVICE", raising=False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device() == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device() == torch.device("cuda", 0)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert pick_device("cuda") == torch.device("cuda", 1)
    with pytest.raises(ValueError, match=r"cuda:2.*has 2 GPU"):
        pick_device("cuda:2")


def test_description_names_machine_and_torch() -> None:
    text = describe_device(torch.device("cpu"))
    assert text.startswith("cpu: ")
    assert f"{torch.get_num_threads()} threads, torch {torch.__version__}" in text


def test_autocast() -> None:
    a = torch.ones(2, 2)
    with autocast(torch.device("cpu"), "bf16"):
        assert (a @ a).dtype == torch.bfloat16
    with autocast(torch.device("cpu"), "float32"):
        assert (a @ a).dtype == torch.float32
