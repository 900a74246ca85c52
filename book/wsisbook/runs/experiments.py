"""What a row can be: experiment names and the plain functions that do them.

An experiment takes a `Context` and returns an `Outcome`; it knows nothing of tables, stores or
locks. To add one, write a function and a frozen dataclass of its settings, and name both in
`EXPERIMENTS`; or name them from study.yml as 'package.module:NAME'.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from wsisbook.runs.config import RunConfig
from wsislib.strict import did_you_mean


def _nothing(model: Any) -> None:
    """What a run does with its model besides training it."""


@dataclass(frozen=True)
class Context:
    """What an experiment is given.

    Attributes:
        config: the resolved settings of the row.
        seed: the run's seed; 0 is a seed.
        folder: the run's own working folder. It outlives a kill, so that training that is
            started again with the same settings goes on from its last checkpoint.
        device: "auto" or the name of a device.
        needs: name -> folder of each finished run that the row declares under `needs`.
        progress: whether to show progress bars.
        on_model: an experiment calls it with its model once that is built, before it takes
            weights of other runs or trains. A dry run looks at the model here.
    """

    config: Any
    seed: int
    folder: Path
    device: str = "auto"
    needs: Mapping[str, Path] = field(default_factory=dict)
    progress: bool = True
    on_model: Callable[[Any], None] = _nothing


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


def _no_files(config: Any) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class Experiment:
    """A kind of run.

    Attributes:
        config: frozen dataclass of its settings.
        run: does it: a function, or 'package.module:function', looked up when it is called, so
            that settings can be read without loading torch.
        parts: which parts of the library its numbers depend on, given the settings; a run is
            stale when the version of one of them is raised.
        files: which files it reads, relative to the data folder; shown by `wsis plan`.
    """

    config: type[RunConfig]
    run: Any  # Callable[[Context], Outcome] once it is here
    parts: Callable[[Any], tuple[str, ...]]
    files: Callable[[Any], tuple[str, ...]] = _no_files

    def __post_init__(self) -> None:
        if isinstance(self.run, str):
            object.__setattr__(self, "run", partial(_run_at, self.run))


def _run_at(place: str, context: Context) -> Outcome:
    """Run the function at 'package.module:function'."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)(context)


# Experiment name -> where it is. Looked up when it is asked for, so that the command line can
# show its help without loading torch.
EXPERIMENTS: Mapping[str, str] = {
    "large_detector": "wsisbook.experiments.settings:LARGE_DETECTOR",
    "large_heads": "wsisbook.experiments.settings:LARGE_HEADS",
    "grabcut": "wsisbook.experiments.settings:GRABCUT",
    "head_objects": "wsisbook.experiments.settings:HEAD_OBJECTS",
    "mask_heads": "wsisbook.experiments.settings:MASK_HEADS",
    "mask_rcnn": "wsisbook.experiments.settings:MASK_RCNN",
    "maskx": "wsisbook.experiments.settings:MASKX",
    "random_splits": "wsisbook.experiments.settings:RANDOM_SPLITS",
    "sam_decoder": "wsisbook.experiments.wish_settings:SAM_DECODER",
    "tiny_sam": "wsisbook.experiments.wish_settings:TINY_SAM",
    "watched_wish": "wsisbook.experiments.wish_settings:WATCHED_WISH",
    "wish": "wsisbook.experiments.wish_settings:WISH_EXPERIMENT",
}


def experiment(name: str) -> Experiment:
    """The experiment called `name`, or at 'package.module:NAME'.

    Raises:
        ValueError: there is none.
    """
    place = EXPERIMENTS.get(name, name)
    module_name, _, attribute = place.partition(":")
    if not attribute:
        raise ValueError(f"unknown experiment {name!r}{did_you_mean(name, EXPERIMENTS)}")
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"experiment {name!r}: cannot load it ({error})") from error
    if not isinstance(found, Experiment):
        raise ValueError(f"experiment {name!r}: {place} is no wsislib Experiment")
    return found
