"""Looking at a model while it trains, so that the training does not notice.

What a look writes must be written anew by the next one: a look comes before its step is saved, so
that a run that was killed looks again at some steps, and misses none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import nn

from wsislib.engine.record import Record
from wsislib.engine.seeds import preserve_rng

# Given how many steps are done.
AfterStep = Callable[[int], None]


def side_effect_free(after_step: AfterStep | None, model: nn.Module, record: Record) -> AfterStep:
    """`after_step`, after which modes, generators and the clock are as they were before.

    In a team the process that writes looks alone.
    """
    if after_step is None or not record.team.leads:
        return lambda step: None

    def look(step: int) -> None:
        with record.clock_stopped(), preserve_rng(record.team.device), preserve_modes(model):
            after_step(step)

    return look


@contextmanager
def preserve_modes(model: nn.Module) -> Iterator[None]:
    """Every module after it in the mode, train or eval, that it was in before."""
    before = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, mode in before:
            module.training = mode
