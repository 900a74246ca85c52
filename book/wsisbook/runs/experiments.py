"""Experiments: what a row of a table can be.

An experiment takes a `Context` and returns an `Outcome`; it knows nothing of tables, stores or
locks. To add one, write a frozen dataclass of its settings and a function, join them in an
`Experiment`, and name that under `experiments` in book/study.yml.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wsisbook.runs.config import RunConfig
from wsislib.strict import did_you_mean


@dataclass(frozen=True)
class Context:
    """What an experiment is given.

    Its working `folder` outlives a kill, so that training that is started again with the same
    settings goes on from its last checkpoint. `on_model` is called with the model once it is built,
    before it takes weights of other runs or trains; a dry run inspects the model there.
    """

    config: Any  # the resolved settings of the row
    seed: int
    folder: Path
    device: str = "auto"
    needs: Mapping[str, Path] = field(default_factory=dict)  # name -> folder of a finished run
    progress: bool = True
    on_model: Callable[[Any], None] = lambda model: None


@dataclass(frozen=True)
class Outcome:
    """What an experiment returns."""

    metrics: Mapping[str, Any]  # nested; a column's `metric` is a dotted path to a number
    data: Mapping[str, str] = field(default_factory=dict)  # name -> fingerprint of a data set
    device: str = "cpu"  # its description
    examples: list[dict] = field(default_factory=list)  # COCO results of some validation images
    files: Mapping[str, Path] = field(default_factory=dict)  # name in the run's folder -> a file
    weights: Mapping[str, Path] = field(default_factory=dict)  # kept there too, but not in git
    peak_memory_mib: float | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)  # such as seconds of single stages


@dataclass(frozen=True)
class Experiment:
    """A kind of run.

    `run` is a function of a `Context` that returns an `Outcome`. Given as
    'package.module:function' it is imported when it is first called, so that settings can be read
    without torch. The other functions take settings.
    """

    config: type[RunConfig]  # frozen dataclass of its settings
    run: Any
    parts: Callable[[Any], tuple[str, ...]]  # that the numbers depend on, see parts.py
    files: Callable[[Any], tuple[str, ...]] = lambda config: ()  # it reads, in the data folder
    # Settings of a dry run, from settings that have few steps and images already.
    small: Callable[[Any], Any] = lambda config: config

    def __post_init__(self) -> None:
        if isinstance(self.run, str):
            place = self.run
            # The only way to set a field of a frozen dataclass.
            object.__setattr__(self, "run", lambda context: load_object(place)(context))


def load_object(place: str) -> Any:
    """The object at 'package.module:NAME'; a ValueError says why it cannot be imported."""
    module, _, name = place.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{place}: cannot load it ({error})") from error


def experiment(name: str, registry: Mapping[str, str]) -> Experiment:
    """The experiment that `registry` (`Study.experiments`) lists, or at 'package.module:NAME'."""
    place = registry.get(name, name)
    if ":" not in place:
        raise ValueError(f"unknown experiment {name!r}{did_you_mean(name, registry)}")
    loaded = load_object(place)
    if not isinstance(loaded, Experiment):
        raise ValueError(f"experiment {name!r}: {place} is not an Experiment")
    return loaded
