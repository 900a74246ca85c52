"""A dry run: a row's own experiment with its own settings, for one step on a few images.

    wsis dry-run maskx-heads few --scale paper
    torchrun --nproc-per-node 2 --no-python wsis dry-run maskx-heads few --scale paper

Finds out before days of GPU time are spent whether a row builds, learns, saves, is judged and
finds what it needs. Data are miniatures (dry_run_data.py), ImageNet's weights and SAM's random
stand-ins (dry_run_model.py, dry_run_teacher.py), and runs that the row needs are dry runs
themselves. Everything happens in a folder that is removed afterwards; no result is written.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsisbook.experiments.sam_decoder import forget_peak, peak_of
from wsisbook.plan.disk import size
from wsisbook.plan.dry_run_settings import DryRunOptions, miniature_count, small_settings
from wsisbook.runs.declared import RunKey, Study
from wsisbook.runs.experiments import Context, Outcome
from wsisbook.runs.paths import build_folder
from wsisbook.runs.resolve import Run, resolve, with_needs
from wsisbook.runs.stopwatch import duration
from wsislib.atomic import write_json

if TYPE_CHECKING:
    from wsislib.engine.distributed import ProcessGroup


@dataclass(frozen=True)
class DryRun:
    """What the dry run of one run came to.

    Attributes:
        key: the run.
        seconds: all of it, by the clock.
        step_seconds: one step by the clock, None where the run trains nothing.
        images: in a step, over all processes.
        processes: how many worked together.
        parameters: of the model, None where the experiment shows none.
        weights_bytes: of the files that are kept with the run.
        checkpoint_bytes: of one checkpoint while it trains.
        peak_memory_mib: of the process (on a GPU: of the GPU) that took most.
        device: description.
        masks: painted in evaluation, None where the experiment shows no detector.
    """

    key: RunKey
    seconds: float
    step_seconds: float | None
    images: int
    processes: int
    parameters: int | None
    weights_bytes: int
    checkpoint_bytes: int
    peak_memory_mib: float | None
    device: str
    masks: int | None

    def text(self) -> str:
        """One line for a reader."""
        parts = [] if self.parameters is None else [f"{self.parameters / 1e6:.1f} M parameters"]
        if self.step_seconds is not None:
            team = f", {self.processes} processes" if self.processes > 1 else ""
            parts.append(f"a step of {self.images} image(s){team}: {duration(self.step_seconds)}")
        if self.masks is not None:
            parts.append(f"{self.masks} masks judged")
        if self.checkpoint_bytes:
            parts.append(
                f"weights {size(self.weights_bytes)}, a checkpoint {size(self.checkpoint_bytes)}"
            )
        if self.peak_memory_mib is not None:
            parts.append(f"peak memory {size(self.peak_memory_mib * 2**20)}")
        return f"{self.key}: {', '.join(parts)}; {duration(self.seconds)} in all"


def dry_runs(
    study: Study,
    keys: list[RunKey],
    options: DryRunOptions,
    progress: bool = True,
    watch: Callable[[Run, Any], None] | None = None,
) -> Iterator[DryRun]:
    """Dry runs of `keys` and before them of what they need, each once.

    Args:
        study: the study.
        keys: runs.
        options: how they differ from the runs.
        progress: show progress bars.
        watch: is called with each run and its model once that is built.

    Raises:
        ValueError: a run cannot be done; names it and says why.
    """
    from wsislib.engine.device import pick_device
    from wsislib.engine.distributed import join_team

    runs = [resolve(study, key) for key in with_needs(study, keys)]
    team = join_team(pick_device(options.device))
    with _workplace(study.root, team) as folder:
        for run in runs:
            try:
                look = None if watch is None else partial(watch, run)
                yield _one(run, options, team, folder, progress, look)
            except ValueError as error:
                raise ValueError(f"dry run of {run.key}: {error}") from error


def _one(
    run: Run,
    options: DryRunOptions,
    team: ProcessGroup,
    folder: Path,
    progress: bool,
    watch: Callable[[Any], None] | None,
) -> DryRun:
    """The dry run of `run`, whose needs are done already."""
    from wsisbook.plan.dry_run_data import write_miniatures
    from wsisbook.plan.dry_run_model import model_hook, write_backbone_weights
    from wsisbook.plan.dry_run_teacher import stand_in_teacher, write_teacher

    forget_peak(team.device)
    started = time.perf_counter()
    config = small_settings(run.config, options, team.world)
    count = miniature_count(run.config, options, team.world)
    data = folder / "data"
    work = _place(folder, run.key) / "work"
    if team.leads:
        work.mkdir(parents=True)
        write_teacher(config, data)
        write_miniatures(run.experiment, config, data, count)
        write_backbone_weights(config, folder / "torch")
    team.wait()
    told: dict[str, int] = {}
    context = Context(
        config,
        run.key.seed,
        work,
        options.device,
        {name: _place(folder, key) for name, key in run.needs.items()},
        progress and team.leads,
        model_hook(options.side, told, watch),
    )
    with stand_in_teacher(config, data):
        outcome = run.experiment.run(context)
    if options.side is not None and "parameters" not in told:
        raise ValueError("the experiment does not show its model; leave out --side")
    team.wait()
    kept = _publish(run, outcome, work) if team.leads else (0, 0)
    team.wait()
    seconds = outcome.notes.get("training_seconds")
    return DryRun(
        key=run.key,
        seconds=time.perf_counter() - started,
        step_seconds=seconds / config.steps if seconds is not None and config.steps else None,
        images=config.batch_size,
        processes=team.world,
        parameters=told.get("parameters"),
        weights_bytes=kept[0],
        checkpoint_bytes=kept[1],
        peak_memory_mib=_peak(team),
        device=outcome.device,
        masks=told.get("masks"),
    )


def _publish(run: Run, outcome: Outcome, work: Path) -> tuple[int, int]:
    """Lay the run's files where runs that need it look; bytes of weights, of a checkpoint."""
    folder = work.parent
    weights = sum(file.stat().st_size for file in outcome.weights.values())
    steps = [file.stat().st_size for file in work.glob("checkpoints/step-*.safetensors")]
    write_json(folder / "params.json", run.record())
    write_json(folder / "metrics.json", dict(outcome.metrics))
    (folder / "checkpoints").mkdir()
    for name, file in outcome.files.items():
        shutil.copy(file, folder / name)
    for name, file in outcome.weights.items():
        shutil.move(file, folder / "checkpoints" / name)
    shutil.rmtree(work)
    return weights, max(steps, default=0)


def _place(folder: Path, key: RunKey) -> Path:
    return folder / "runs" / key.table / key.row / f"seed-{key.seed}"


@contextmanager
def _workplace(root: Path, team: ProcessGroup) -> Iterator[Path]:
    """A folder for all processes, in which data, ImageNet's weights and candidates lie."""
    parent = build_folder(root) / "dry-run"
    name = ""
    if team.leads:
        parent.mkdir(parents=True, exist_ok=True)
        name = tempfile.mkdtemp(dir=parent)
    folder = Path(team.gather(name)[0])
    places = {"WSIS_DATA": "data", "TORCH_HOME": "torch", "WSIS_CACHE": "cache"}
    named = {variable: str(folder / name) for variable, name in places.items()}
    before = {key: os.environ.get(key) for key in named}
    os.environ.update(named)
    try:
        yield folder
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value
        if team.leads:
            shutil.rmtree(folder, ignore_errors=True)


def _peak(team: ProcessGroup) -> float | None:
    """MiB of the process, or GPU, that took most."""
    own = peak_of(team.device)
    return max((memory for memory in team.gather(own) if memory is not None), default=None)
