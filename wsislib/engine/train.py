"""The training loop, the only one there is.

It sees a model through `losses` alone and a data set through its length and its items, so every
model and every kind of label is trained by these lines.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from tqdm import tqdm

from wsislib.data.sample import Dataset, Model, Sample
from wsislib.data.transforms import random_flip
from wsislib.engine.batches import Augment, batches
from wsislib.engine.config import TrainConfig
from wsislib.engine.device import autocast, pick_device
from wsislib.engine.distributed import ProcessGroup, join_process_group
from wsislib.engine.errors import Interrupted, NonFiniteLoss, stop_on_signal
from wsislib.engine.history import Row, median_speed
from wsislib.engine.optimise import (
    build_optimiser,
    clip_gradient,
    learning_rate,
    set_learning_rate,
)
from wsislib.engine.record import Record
from wsislib.engine.seeds import Purpose, derive_seed
from wsislib.engine.side_effects import AfterStep, preserve_modes, preserve_rng, side_effect_free


@dataclass(frozen=True)
class FitResult:
    """The outcome of a training run, over all its starts."""

    steps: int  # optimiser steps done in all
    seconds: float  # spent training
    images_per_second: float  # median over the rows of the history
    history: list[Row]  # see history.py
    peak_memory_mib: float  # of the GPU where there is one, else of the process


def fit(
    model: nn.Module,
    dataset: Dataset,
    config: TrainConfig,
    folder: Path,
    *,
    device: str | torch.device | None = None,
    augment: Augment | None = None,
    progress: bool = True,
    after_step: AfterStep | None = None,
) -> FitResult:
    """Train `model`, which obeys the `Model` protocol, on `dataset`.

    Resumes from the newest good checkpoint in `folder`/checkpoints; an interrupted run
    ends with the same weights, bit for bit on a CPU, as an uninterrupted one. Started by
    torchrun it is one of several processes, see distributed.py.

    Args:
        model: trained in place, moved to the device and left there.
        dataset: samples with the labels to learn from.
        config: see there.
        folder: gets history.csv, checkpoints/ and checkpoints/final.safetensors.
        device: as for `pick_device`; None chooses.
        augment: changes each sample before `config.flip` does; all its randomness comes from the
            generator it is given.
        progress: show a progress bar.
        after_step: called with the number of steps done after each of them; it must not change
            weights. Modes, generators and the clock are preserved. A run that was killed calls it
            again for some steps, so what it writes, it must write anew; see side_effects.py.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; the step was finished and saved.
        NonFiniteLoss: names step, loss terms and image ids.
        RunBusy: another process trains in `folder`.
        OSError: `folder` cannot be written, or the disk is full; names the file.
        ValueError: the newest checkpoint belongs to another model, config or data set.
    """
    chosen, folder = pick_device(device or "auto"), Path(folder)
    group = join_process_group(chosen)
    with ExitStack() as stack:
        stack.enter_context(group.locked(folder))
        stack.enter_context(preserve_rng(chosen))
        stack.enter_context(preserve_modes(model, training=True))
        optimiser = build_optimiser(model.to(chosen), config)
        record = Record(folder, model, optimiser, dataset, config, group)
        after = side_effect_free(after_step, model, record)
        _loop(model, optimiser, dataset, record, _with_flip(augment, config), progress, after)
        record.finish()
    done = record.done
    speed = median_speed(record.rows)
    return FitResult(done.step, done.seconds, speed, record.rows, done.peak_memory_mib)


def _loop(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    dataset: Dataset,
    record: Record,
    augment: Augment | None,
    progress: bool,
    after: AfterStep,
) -> None:
    """Do the steps that are left."""
    config, group, done = record.config, record.group, record.done
    losses = group.wrap(cast(Model, model))
    feed = batches(dataset, config, done.step, augment, group.rank, group.world)
    bar = tqdm(
        total=config.steps, initial=done.step,
        disable=None if progress and group.is_main else True,  # None: where stderr is no terminal
        unit="step", desc="train",
    )  # fmt: skip
    with stop_on_signal() as stop, bar:
        for batch in feed:
            torch.manual_seed(derive_seed(config.seed, Purpose.MODEL, done.step, group.rank))
            rate = learning_rate(config, done.step)
            set_learning_rate(optimiser, rate)
            values = _backward(losses, optimiser, batch, config, group)
            _require_finite(values, batch, record)
            optimiser.step()
            # Logged, but no part of the loss; in a process group those of the main process alone.
            statistics = model.statistics() if hasattr(model, "statistics") else {}  # type: ignore[operator]
            logged = {**statistics, **values}
            after(done.step + 1)
            record.step_done(logged, rate)
            speed = f"{record.images_per_second:.1f} images/s"
            bar.set_postfix_str(f"loss {values['total']:.3f}, {speed}", refresh=False)
            bar.update()
            if group.any(stop.made):
                record.save()
                raise Interrupted(done.step, config.steps, record.folder)


def _backward(
    losses: nn.Module,
    optimiser: torch.optim.Optimizer,
    batch: Sequence[Sample],
    config: TrainConfig,
    group: ProcessGroup,
) -> dict[str, float]:
    """Leave the clipped gradient of the weighted loss of `batch` in the parameters.

    Returns the mean over processes of each loss, of "total" (weighted) and of "gradient_norm".
    """
    optimiser.zero_grad()
    with autocast(group.device, config.precision):
        terms: dict[str, Tensor] = losses([sample.to(group.device) for sample in batch])
    _check_names(terms, config.loss_weights)
    weighted = [config.loss_weights.get(name, 1.0) * loss.float() for name, loss in terms.items()]
    total = torch.stack(weighted).sum()
    total.backward()
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    norm = clip_gradient(parameters, config.clip_norm)
    # One transfer from the device for all numbers of the step.
    numbers = torch.stack([*(t.detach().float() for t in terms.values()), total.detach(), norm])
    return dict(zip([*terms, "total", "gradient_norm"], group.mean(numbers).tolist(), strict=True))


def _require_finite(values: Mapping[str, float], batch: Sequence[Sample], record: Record) -> None:
    """Stop before the optimiser spreads a NaN into the weights; all processes stop together."""
    if all(math.isfinite(value) for value in values.values()):
        return
    ids = record.group.gather([sample.image_id for sample in batch])
    image_ids = [image_id for part in ids for image_id in part]
    raise NonFiniteLoss(record.done.step + 1, values, image_ids, record.folder)


def _check_names(terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> None:
    if not terms:
        raise ValueError("the model's losses() gave no loss at all; it must give one at least")
    unknown = sorted(set(weights) - set(terms))
    if unknown:
        raise ValueError(
            f"train config: loss_weights names {', '.join(unknown)}, but the model's losses are "
            f"{', '.join(terms)}; rename or remove it"
        )


def _with_flip(augment: Augment | None, config: TrainConfig) -> Augment | None:
    """`augment`, then a mirror image half of the time where the config says so."""
    if not config.flip:
        return augment
    if augment is None:
        return random_flip

    def both(sample: Sample, generator: torch.Generator) -> Sample:
        return random_flip(augment(sample, generator), generator)

    return both
