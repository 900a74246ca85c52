"""A dry run: a row's own experiment with its own settings, for one step on a few images.

    wsis dry-run maskx-heads few --scale paper
    torchrun --nproc-per-node 2 --no-python wsis dry-run maskx-heads few --scale paper

Finds out before days of GPU time are spent whether a row builds, learns, saves, is judged and
finds what it needs. Data are miniatures (dry_run_data.py), ImageNet's weights and SAM's random
stand-ins (dry_run_model.py), and runs that the row needs are dry runs themselves. Everything
happens in a folder that is removed afterwards; no result is written.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from wsisbook.experiments.sam_decoder import forget_peak
from wsisbook.plan.costs import size
from wsisbook.plan.dry_run_data import write_miniatures
from wsisbook.plan.dry_run_model import model_hook, stand_in_teacher, write_weights
from wsisbook.runs.declared import RunKey, Study
from wsisbook.runs.experiments import Context, Experiment, Outcome
from wsisbook.runs.paths import build_folder
from wsisbook.runs.resolve import Run, resolve, with_needs
from wsisbook.runs.stopwatch import duration
from wsisbook.runs.store import RunStore
from wsislib.atomic import write_json
from wsislib.engine.device import pick_device
from wsislib.engine.distributed import ProcessGroup, join_process_group
from wsislib.engine.memory import peak_memory_mib


@dataclass(frozen=True)
class DryRunOptions:
    """How a dry run differs from the run."""

    images: int = 1  # in a step of each process
    steps: int = 1
    side: int | None = None  # short side of scaled images, in pixels; None: the published one
    device: str = "auto"

    def __post_init__(self) -> None:
        for name, lowest in (("images", 1), ("steps", 1), ("side", 32)):
            value = getattr(self, name)
            if value is not None and value < lowest:
                raise ValueError(f"--{name} is {value}; it must be {lowest} or more")


@dataclass(frozen=True)
class DryRun:
    """What the dry run of one run came to; times are by the clock."""

    key: RunKey
    seconds: float
    step_seconds: float | None  # None: it trains nothing
    images: int  # in a step, over all processes
    processes: int
    parameters: int | None  # None: the experiment shows no model
    weights_bytes: int
    checkpoint_bytes: int
    peak_memory_mib: float | None  # of the process (on a GPU: of the GPU) that took most
    masks: int | None  # pasted in evaluation; None: the model is no detector

    def text(self) -> str:
        """One line for a reader."""
        parts = [] if self.parameters is None else [f"{self.parameters / 1e6:.1f} M parameters"]
        if self.step_seconds is not None:
            team = f", {self.processes} processes" if self.processes > 1 else ""
            parts.append(f"a step of {self.images} image(s){team}: {duration(self.step_seconds)}")
        if self.masks is not None:
            parts.append(f"{self.masks} masks judged")
        if self.checkpoint_bytes:
            parts.append(f"weights {size(self.weights_bytes)}")
            parts.append(f"a checkpoint {size(self.checkpoint_bytes)}")
        if self.peak_memory_mib is not None:
            parts.append(f"peak memory {size(self.peak_memory_mib * 2**20)}")
        return f"{self.key}: {', '.join(parts)}; {duration(self.seconds)} in all"


def small_settings(
    experiment: Experiment, config: Any, options: DryRunOptions, processes: int
) -> Any:
    """`config` for a dry run; all that decides what is built and what is learnt stays."""
    images, steps = options.images * processes, min(options.steps, config.steps)
    changes: dict[str, Any] = {
        "steps": steps,
        "checkpoint_every": options.steps,
        "log_every": 1,
        "workers": 0,
    }
    changes |= {"batch_size": images, "train_count": 2 * images, "val_count": 1}
    changes["subsets"] = getattr(config, "subsets", ())[:1]  # one image cannot be of two
    if options.side is not None:
        changes["jitter"] = min(options.side, getattr(config, "jitter", 0))
    known = {field.name for field in fields(config)}
    return experiment.small(replace(config, **{n: changes[n] for n in known & changes.keys()}))


def dry_runs(
    study: Study,
    keys: list[RunKey],
    options: DryRunOptions,
    progress: bool = True,
    watch: Callable[[Run, Any], None] = lambda run, model: None,
) -> Iterator[DryRun]:
    """Dry runs of `keys` and before them of what they need, each once.

    `watch` is called with each run and its model once that is built. A ValueError names the run
    that cannot be done.
    """
    runs = [resolve(study, key) for key in with_needs(study, keys)]
    team = join_process_group(pick_device(options.device))
    with _workplace(study.root, team) as folder:
        for run in runs:
            try:
                yield _dry_run(run, options, team, folder, progress, watch)
            except ValueError as error:
                raise ValueError(f"dry run of {run.key}: {error}") from error


def _dry_run(
    run: Run,
    options: DryRunOptions,
    team: ProcessGroup,
    folder: Path,
    progress: bool,
    watch: Callable[[Run, Any], None],
) -> DryRun:
    """The dry run of `run`, whose needs are done already."""
    forget_peak(team.device)
    started = time.perf_counter()
    config = small_settings(run.experiment, run.config, options, team.world)
    data, store = folder / "data", RunStore(folder)
    work = store.folder(run.key) / "work"
    if team.is_main:
        work.mkdir(parents=True)
        write_weights(config, data)
        write_miniatures(run.experiment, config, data)
    team.barrier()
    seen: dict[str, int] = {}
    hook = model_hook(options.side, seen, partial(watch, run))
    needs = {name: store.folder(key) for name, key in run.needs.items()}
    shown = progress and team.is_main
    with stand_in_teacher(config, data):
        outcome = run.experiment.run(
            Context(config, run.key.seed, work, options.device, needs, shown, hook)
        )
    if options.side is not None and "parameters" not in seen:
        raise ValueError("the experiment does not show its model; leave out --side")
    team.barrier()
    weights, checkpoint = _publish(run, outcome, work) if team.is_main else (0, 0)
    team.barrier()
    seconds = outcome.notes.get("training_seconds")
    peaks = [peak for peak in team.gather(peak_memory_mib(team.device)) if peak is not None]
    return DryRun(
        key=run.key,
        seconds=time.perf_counter() - started,
        step_seconds=seconds / config.steps if seconds is not None and config.steps else None,
        images=config.batch_size,
        processes=team.world,
        parameters=seen.get("parameters"),
        weights_bytes=weights,
        checkpoint_bytes=checkpoint,
        peak_memory_mib=max(peaks, default=None),
        masks=seen.get("masks"),
    )


def _publish(run: Run, outcome: Outcome, work: Path) -> tuple[int, int]:
    """Lay the run's files where runs that need it look; bytes of weights, of a checkpoint."""
    weights = sum(file.stat().st_size for file in outcome.weights.values())
    steps = [file.stat().st_size for file in work.glob("checkpoints/step-*.safetensors")]
    write_json(work.parent / "params.json", run.record())
    write_json(work.parent / "metrics.json", dict(outcome.metrics))
    (work.parent / "checkpoints").mkdir()
    kept = {f"checkpoints/{name}": file for name, file in outcome.weights.items()}
    for name, file in {**outcome.files, **kept}.items():
        shutil.copy(file, work.parent / name)
    shutil.rmtree(work)
    return weights, max(steps, default=0)


@contextmanager
def _workplace(root: Path, team: ProcessGroup) -> Iterator[Path]:
    """A folder for all processes, in which data, ImageNet's weights and candidates lie."""
    parent = build_folder(root) / "dry-run"
    name = ""
    if team.is_main:
        parent.mkdir(parents=True, exist_ok=True)
        name = tempfile.mkdtemp(dir=parent)
    folder = Path(team.gather(name)[0])
    places = {"WSIS_DATA": "data", "TORCH_HOME": "torch", "WSIS_CACHE": "cache"}
    before = {variable: os.environ[variable] for variable in places if variable in os.environ}
    os.environ.update({variable: str(folder / name) for variable, name in places.items()})
    try:
        yield folder
    finally:
        for variable in places:
            del os.environ[variable]
        os.environ.update(before)
        if team.is_main:
            shutil.rmtree(folder, ignore_errors=True)
