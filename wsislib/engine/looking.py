"""Looking at a model while it trains, so that the training does not notice.

What a look writes must be written anew by the next one: a look comes before its step is saved, so
that a run that was killed looks again at some steps, and misses none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import nn

from wsislib.engine.record import Record
from wsislib.engine.seeds import global_rng_kept

# Given how many steps are done.
AfterStep = Callable[[int], None]


def unnoticed(after_step: AfterStep | None, model: nn.Module, record: Record) -> AfterStep:
    """`after_step`, after which modes, generators and the clock are as they were before.

    In a team the process that writes looks alone.
    """
    if after_step is None or not record.team.leads:
        return lambda step: None

    def look(step: int) -> None:
        with record.clock_stopped(), global_rng_kept(record.team.device), modes_kept(model):
            after_step(step)

    return look


@contextmanager
def modes_kept(model: nn.Module) -> Iterator[None]:
    """Every module after it in the mode, train or eval, that it was in before."""
    before = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, mode in before:
            module.training = mode
