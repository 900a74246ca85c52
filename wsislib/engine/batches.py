"""Which images a step sees, and how they are read.

The images of a run form one endless row: epoch after epoch, each in an order drawn from
(seed, epoch). Step s (from 0) takes positions s*B .. s*B + B-1 of that row, so a batch may
straddle two epochs, no image is left out, and a data set smaller than a batch is no special case.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from functools import lru_cache

import torch
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from wsislib.data.sample import Dataset, Sample
from wsislib.engine.config import TrainConfig
from wsislib.engine.seeds import Purpose, generator_for

Augment = Callable[[Sample, torch.Generator], Sample]


@lru_cache(maxsize=2)
def epoch_order(count: int, seed: int, epoch: int) -> tuple[int, ...]:
    """The order of `count` images in one epoch: each index 0..count-1 once."""
    generator = generator_for(seed, Purpose.ORDER, epoch)
    return tuple(torch.randperm(count, generator=generator).tolist())


def step_positions(step: int, batch_size: int, rank: int = 0, world: int = 1) -> range:
    """Positions in the endless row that process `rank` of `world` reads at `step` (from 0)."""
    start = step * batch_size
    return range(start + rank, start + batch_size, world)


class _Row(TorchDataset):
    """The endless row: position -> augmented sample, the same in every process."""

    def __init__(self, dataset: Dataset, seed: int, augment: Augment | None) -> None:
        self.dataset = dataset
        self.seed = seed
        self.augment = augment

    def __getitem__(self, position: int) -> Sample:
        count = len(self.dataset)
        epoch, place = divmod(position, count)
        sample = self.dataset[epoch_order(count, self.seed, epoch)[place]]
        if self.augment is None:
            return sample
        return self.augment(sample, generator_for(self.seed, Purpose.AUGMENT, position))


def batches(
    dataset: Dataset,
    config: TrainConfig,
    first_step: int = 0,
    augment: Augment | None = None,
    rank: int = 0,
    world: int = 1,
) -> Iterator[list[Sample]]:
    """The batches of steps `first_step` .. `config.steps - 1`, this process's share of each.

    The same for any number of workers and, put together over ranks, for any number of processes.

    Raises:
        ValueError: the data set is empty, or a batch cannot be shared out evenly.
    """
    if len(dataset) == 0:
        raise ValueError("the training data set holds no image; nothing can be learnt from it")
    if config.batch_size % world:
        raise ValueError(
            f"train config: batch_size {config.batch_size} cannot be shared evenly by {world} "
            f"processes; use a multiple of {world}"
        )
    steps = range(first_step, config.steps)
    loader: DataLoader[Sample] = DataLoader(
        _Row(dataset, config.seed, augment),
        batch_sampler=[list(step_positions(s, config.batch_size, rank, world)) for s in steps],
        num_workers=config.workers,
        collate_fn=list,
        worker_init_fn=_leave_signals_to_parent,
        generator=torch.Generator(),  # else the loader draws from torch's global generator
    )
    return iter(loader)


def _leave_signals_to_parent(worker: int) -> None:
    """Ctrl-C reaches every process of the terminal; only the training process answers it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
