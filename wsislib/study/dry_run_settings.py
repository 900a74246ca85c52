"""How the settings of a dry run differ from those of the run."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any


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
    wanted = {
        "steps": min(options.steps, config.steps),
        "batch_size": images,
        "checkpoint_every": options.steps,
        "log_every": 1,
        "workers": 0,
        "train_count": 2 * images,  # the world's; miniatures of files are written so
        "val_count": 1,
        "cam_warmup": 0,  # else no pseudo point would be tried
    }
    known = {field.name for field in fields(config)}
    if "self_start" in known:
        wanted["self_start"] = min(0, config.self_start)  # -1 is never
    if "jitter" in known and options.side is not None:
        wanted["jitter"] = min(options.side, config.jitter)
    return replace(config, **{name: value for name, value in wanted.items() if name in known})
