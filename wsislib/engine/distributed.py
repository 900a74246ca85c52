"""Several processes for one run: torch's own DistributedDataParallel, started by torchrun.

    torchrun --nproc-per-node 2 --no-python wsis train ...

Every process runs the same script; `fit` sees from the environment (WORLD_SIZE, RANK) that it is
one of a group. A global batch is split evenly, gradients are averaged over processes, and only
process 0 writes. DistributedDataParallel was taken over lightning-fabric and accelerate because
it leaves the loop, the optimiser and the checkpoints as they are for one process.

Where a loss is a mean over images, the averaged gradient equals, up to rounding, the gradient of
one process with the whole batch. A loss that is normalised by something else (mask losses: by
foreground regions) is a mean of means instead, as in every detector trained this way.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from wsislib.data.sample import Model, Sample
from wsislib.engine.runfolder import run_folder


class LossModule(nn.Module):
    """A model whose forward pass is its losses, so that the wrapper's hooks fire."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Sequence[Sample]) -> dict[str, Tensor]:
        """Named, unweighted losses of `batch`."""
        return self.model.losses(batch)


@dataclass(frozen=True)
class ProcessGroup:
    """The processes that train one model together."""

    rank: int  # this process, 0..world-1
    world: int  # how many there are
    device: torch.device  # where this process computes

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def wrap(self, model: Model) -> nn.Module:
        """The module to call for losses; averages gradients over the group on backward."""
        module = LossModule(model)
        if self.world == 1:
            return module
        ids = [self.device.index] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(module, device_ids=ids)

    def mean(self, values: Tensor) -> Tensor:
        """Elementwise mean over processes."""
        if self.world > 1:
            values = values.to(self.device)
            dist.all_reduce(values)
            values = values / self.world
        return values

    def any(self, flag: bool) -> bool:
        """Whether `flag` is set in any process."""
        return bool(self.mean(torch.tensor(float(flag))) > 0)

    def gather(self, value: Any) -> list[Any]:
        """`value` of every process, by rank."""
        if self.world == 1:
            return [value]
        gathered: list[Any] = [None] * self.world
        dist.all_gather_object(gathered, value)
        return gathered

    def barrier(self) -> None:
        """Wait until every process is here, so that none reads what process 0 still writes."""
        self.gather(None)

    def locked(self, folder: Path) -> AbstractContextManager[Path]:
        """The run's folder, locked by process 0 for the whole group."""
        return run_folder(folder) if self.is_main else nullcontext(folder)


def join_process_group(device: torch.device) -> ProcessGroup:
    """This process's group: the one that torchrun started, or itself alone.

    The processes stay connected until they end, so that one script may train several times.
    """
    if dist.is_available() and dist.is_initialized():
        return ProcessGroup(dist.get_rank(), dist.get_world_size(), device)
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return ProcessGroup(0, 1, device)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    atexit.register(dist.destroy_process_group)
    return ProcessGroup(dist.get_rank(), dist.get_world_size(), device)
