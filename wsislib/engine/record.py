"""What a run writes: history rows, checkpoints, the final weights."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from wsislib.data.sample import Dataset
from wsislib.engine.checkpoint import Progress, load_newest, save_checkpoint
from wsislib.engine.config import TrainConfig
from wsislib.engine.distributed import ProcessGroup
from wsislib.engine.history import Row, read_history, write_history
from wsislib.engine.memory import peak_memory_mib
from wsislib.engine.weights import save_weights


class Record:
    """History, checkpoints and weights of one training run, in `folder`; process 0 alone writes."""

    def __init__(
        self,
        folder: Path,
        model: nn.Module,
        optimiser: torch.optim.Optimizer,
        dataset: Dataset,
        config: TrainConfig,
        group: ProcessGroup,
    ) -> None:
        self.folder, self.model, self.optimiser = folder, model, optimiser
        self.config, self.group = config, group
        self.run = describe_run(model, dataset, config, group.world)
        self.done = self._resume()
        self.rows: list[Row] = read_history(folder / "history.csv", upto=self.done.step)
        self.images_per_second = 0.0  # lately, for display
        if group.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(group.device)
        self._clock = time.perf_counter()

    @contextmanager
    def clock_stopped(self) -> Iterator[None]:
        """Time spent inside does not count as training."""
        before = time.perf_counter()
        yield
        self._clock += time.perf_counter() - before

    def step_done(self, values: Mapping[str, float], rate: float) -> None:
        """Count one step; write a history row and a checkpoint where they are due."""
        now = time.perf_counter()
        self.done.advance(values, now - self._clock, peak_memory_mib(self.group.device) or 0.0)
        self._clock = now
        self.images_per_second = self.done.window.speed(self.config.batch_size)
        last = self.done.step == self.config.steps
        # The row first: a row that its checkpoint lacks is dropped on resuming, the other way
        # round it would be missing for good.
        if last or self.done.step % self.config.log_every == 0:
            self.rows.append(self.done.close_window(rate, self.config.batch_size))
            if self.group.is_main:
                write_history(self.folder / "history.csv", self.rows)
        if last or self.done.step % self.config.checkpoint_every == 0:
            self.save()

    def save(self) -> None:
        """Write a checkpoint of the present step."""
        if self.group.is_main:
            folder = self.folder / "checkpoints"
            save_checkpoint(folder, self.model, self.optimiser, self.done, self.run)
        self.group.barrier()

    def finish(self) -> None:
        """Write the trained weights."""
        meta = {"step": self.done.step, "config": self.config.to_dict(), "run": self.run}
        if self.group.is_main:
            save_weights(self.folder / "checkpoints" / "final.safetensors", self.model, meta)
        self.group.barrier()

    def _resume(self) -> Progress:
        folder = self.folder / "checkpoints"
        done = load_newest(folder, self.model, self.optimiser, self.run) or Progress()
        steps = self.group.gather(done.step)
        if len(set(steps)) > 1:
            raise ValueError(
                f"{folder}: the processes found checkpoints of different steps ({steps}); "
                "put the run's folder where every node can read it"
            )
        if done.step > self.config.steps:
            raise ValueError(
                f"{folder}: this run has already done {done.step} steps, more than the "
                f"{self.config.steps} asked for; ask for more steps or train in another folder"
            )
        return done


def describe_run(
    model: nn.Module, dataset: Dataset, config: TrainConfig, world: int
) -> dict[str, Any]:
    """What must be the same for a run to go on where it stopped.

    With schedule "step" no step depends on how many will follow, so such a run may be made
    longer: `steps` is left out.
    """
    run = config.decisive()
    if config.schedule == "step":
        del run["steps"]
    parameters = dict(model.named_parameters())
    trained = [name for name, parameter in parameters.items() if parameter.requires_grad]
    share = f"{len(trained)} of {len(parameters)}"
    content = repr([dataset.image_ids, [(c.id, c.name) for c in dataset.categories]])
    return {
        **run,
        "data": f"{len(dataset)} images, {_short_digest(content)}",
        "processes": world,
        "trained_parameters": f"{share}, {_short_digest(repr(trained))}",
    }


def _short_digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
