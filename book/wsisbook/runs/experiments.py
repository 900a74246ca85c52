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

    Attributes:
        config: the resolved settings of the row.
        seed: the run's seed; 0 is a seed.
        folder: the run's working folder. It outlives a kill, so that training that is started
            again with the same settings goes on from its last checkpoint.
        device: "auto" or the name of a device.
        needs: name -> folder of each finished run that the row declares under `needs`.
        progress: whether to show progress bars.
        on_model: called with the model once it is built, before it takes weights of other runs or
            trains. A dry run inspects the model here.
    """

    config: Any
    seed: int
    folder: Path
    device: str = "auto"
    needs: Mapping[str, Path] = field(default_factory=dict)
    progress: bool = True
    on_model: Callable[[Any], None] = lambda model: None


@dataclass(frozen=True)
class Outcome:
    """What an experiment returns.

    Attributes:
        metrics: nested mapping of numbers; a column's `metric` is a dotted path into it.
        data: name -> fingerprint of each data set that was used.
        device: description of the device.
        examples: COCO results of some validation images, for pictures without weights.
        files: name in the run's folder -> file to publish there, such as history.csv.
        weights: name -> weights file to keep beside the run (git does not see them).
        peak_memory_mib: peak memory, None where it was not measured.
        notes: further facts for the record, such as seconds of single stages.
    """

    metrics: Mapping[str, Any]
    data: Mapping[str, str] = field(default_factory=dict)
    device: str = "cpu"
    examples: list[dict] = field(default_factory=list)
    files: Mapping[str, Path] = field(default_factory=dict)
    weights: Mapping[str, Path] = field(default_factory=dict)
    peak_memory_mib: float | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """A kind of run.

    Attributes:
        config: frozen dataclass of its settings.
        run: Context -> Outcome. Given as 'package.module:function' it is imported when it is
            first called, so that settings can be read without torch.
        parts: settings -> the parts of the library that the numbers depend on; a run is stale
            when the version of one of them rises (parts.py).
        files: settings -> the files that it reads, relative to the data folder.
        small: settings, with few steps and images already -> settings of a dry run; None changes
            nothing more.
    """

    config: type[RunConfig]
    run: Any
    parts: Callable[[Any], tuple[str, ...]]
    files: Callable[[Any], tuple[str, ...]] = lambda config: ()
    small: Callable[[Any], Any] | None = None

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
    """The experiment that `registry` (`Study.experiments`) lists, or at 'package.module:NAME'.

    Raises:
        ValueError: there is none; names the nearest.
    """
    place = registry.get(name, name)
    if ":" not in place:
        raise ValueError(f"unknown experiment {name!r}{did_you_mean(name, registry)}")
    loaded = load_object(place)
    if not isinstance(loaded, Experiment):
        raise ValueError(f"experiment {name!r}: {place} is not an Experiment")
    return loaded
