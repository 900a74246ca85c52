"""Code that uses a model between two training steps and leaves no trace in the training.

What such code writes must be written anew by its next call: it runs before its step is saved, so
that a run that was killed repeats it for some steps, and misses none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from wsislib.engine.record import Record

AfterStep = Callable[[int], None]  # given how many steps are done


def side_effect_free(after_step: AfterStep | None, model: nn.Module, record: Record) -> AfterStep:
    """`after_step`, after which modes, generators and the clock are as they were before.

    In a process group the main process alone calls it.
    """
    if after_step is None or not record.group.is_main:
        return lambda step: None

    def wrapped(step: int) -> None:
        with record.clock_stopped(), preserve_rng(record.group.device), preserve_modes(model):
            after_step(step)

    return wrapped


@contextmanager
def preserve_modes(model: nn.Module, training: bool | None = None) -> Iterator[None]:
    """Every module after it in the mode that it was in before.

    `training` is the mode of all modules inside, train or eval; None leaves them as they are.
    """
    before = [(module, module.training) for module in model.modules()]
    if training is not None:
        model.train(training)
    try:
        yield
    finally:
        for module, mode in before:
            module.training = mode


@contextmanager
def preserve_rng(device: torch.device) -> Iterator[None]:
    """Torch's global generators (CPU and `device`) after it as they were before.

    Models may draw from them (torchvision's samplers do), so training reseeds them at each step.
    """
    if device.type == "cpu":
        with torch.random.fork_rng(devices=[]):
            yield
        return
    with torch.random.fork_rng(devices=[device], device_type=device.type):
        yield
