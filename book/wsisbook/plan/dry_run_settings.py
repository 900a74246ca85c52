"""How the settings of a dry run differ from those of the run."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from wsisbook.experiments.wish_settings import KINDS, WeakLabelConfig, kinds_held


@dataclass(frozen=True)
class DryRunOptions:
    """How a dry run differs from the run.

    Attributes:
        images: in a step, for each process. Training images of the miniature are twice as many.
        steps: optimiser steps.
        side: short side that images are scaled to, pixels; None keeps the published one.
        device: "auto" or a device's name.
    """

    images: int = 1
    steps: int = 1
    side: int | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        for name, least in (("images", 1), ("steps", 1), ("side", 32)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"--{name} is {value}; it must be {least} or more")


def small_settings(config: Any, options: DryRunOptions, processes: int) -> Any:
    """`config` for a dry run; all that decides what is built and what is learnt stays."""
    images = options.images * processes
    wanted: dict[str, Any] = {
        "steps": min(options.steps, config.steps),
        "batch_size": images,
        "checkpoint_every": options.steps,
        "log_every": 1,
        "workers": 0,
        "train_count": miniature_count(config, options, processes),
        "val_count": 1,
        "cam_warmup": 0,  # else no pseudo point would be tried
    }
    known = {field.name for field in fields(config)}
    if "self_start" in known:
        wanted["self_start"] = min(0, config.self_start)  # -1 is never
    if isinstance(config, WeakLabelConfig) and config.labels not in KINDS:
        wanted |= {"labels": _small_mix(config, wanted["train_count"]), "budget": 0.0, "shares": {}}
    if "jitter" in known and options.side is not None:
        wanted["jitter"] = min(options.side, config.jitter)
    return replace(config, **{name: value for name, value in wanted.items() if name in known})


def miniature_count(config: Any, options: DryRunOptions, processes: int) -> int:
    """How many training images a dry run has: two steps' worth, and one for each kind of label."""
    kinds = len(kinds_held(config)) if isinstance(config, WeakLabelConfig) else 1
    return max(2 * options.images * processes, kinds)


def _small_mix(config: WeakLabelConfig, count: int) -> str:
    """A mix of `count` images of the kinds that the settings hold, as evenly as can be."""
    held = [name for name in KINDS if name in kinds_held(config)]
    shares = [len(range(place, count, len(held))) for place in range(len(held))]
    return " + ".join(f"{own} {name}" for own, name in zip(shares, held, strict=True))
