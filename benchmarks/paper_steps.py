"""Seconds of one image in a training step, of every kind of row at paper scale, at full size.

    python benchmarks/paper_steps.py [--device cuda] [--again] [--only TABLE/ROW ...]

What `wsis plan --scale paper` computes hours from. Each row's own experiment trains for two steps
of one image of 800 x 1,333, as a dry run: real sizes, made-up images. Counted is the first: on a
processor the time of one core, so that other programs on the machine count less; on a GPU the time
by the clock. An untrained detector proposes few objects, so the true boxes, shaken a little, are
added to its proposals: the regions with masks are then as many as there may be (128 an image), and
times are upper bounds. Kinds that are on record for the device are left alone, unless --again is
said.

Rows with many heads side by side are not measured one by one: three rows made for the purpose say
what a detector, a head and an MLP branch cost.
"""

from __future__ import annotations

import argparse
import datetime
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

import torch
from record import RESULTS, record
from shaken_boxes import shaken
from torch import nn

from wsisbook.plan.dry_run import DryRun, DryRunOptions, dry_runs
from wsisbook.plan.step_times import StepTime, kind_of, read_step_times
from wsisbook.runs.declared import RunKey, Study
from wsisbook.runs.resolve import Run, keys_of, resolve
from wsisbook.runs.spec import load_study
from wsislib.data.sample import Sample
from wsislib.engine.device import describe_device, pick_device
from wsislib.models.maskrcnn.detector import Detector

STEPS, IMAGES = 2, 1
PLAIN, MLP = {"kind": "transfer"}, {"kind": "transfer", "mlp_layers": 1}
# Rows of `maskx-heads` that the study does not have. The authors published hours of the first.
MADE = {"one-head": [PLAIN], "two-heads": [PLAIN, PLAIN], "two-heads-mlp": [PLAIN, MLP]}


class Clock:
    """Notes when each step of a model begins, and how large the model is by then."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.starts: list[float] = []
        self.values = self.trained = 0

    def watch(self, model: nn.Module) -> None:
        losses = model.losses

        def timed(batch: Sequence[Sample]) -> dict[str, torch.Tensor]:
            self.starts.append(self._now())
            self.values = sum(t.numel() for t in model.state_dict().values())
            self.trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
            return losses(batch)

        model.losses = timed  # type: ignore[assignment]

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            return time.perf_counter()
        return time.process_time()


def fill_with_objects(model: Detector) -> None:
    """Have `model` propose true boxes as well, those with masks where there are any."""
    propose = model._propose

    def filled(images: Any, features: Any, targets: Any) -> Any:
        proposals, losses = propose(images, features, targets)
        if targets is not None:
            pairs = zip(proposals, targets, strict=True)
            proposals = [torch.cat([own, shaken(masked_boxes(target))]) for own, target in pairs]
        return proposals, losses

    model._propose = filled  # type: ignore[method-assign]


def masked_boxes(target: dict[str, torch.Tensor]) -> torch.Tensor:
    """The true boxes of an image, of those with masks where there are any."""
    masked = target["has_mask"]
    return target["boxes"][masked] if masked.any() else target["boxes"]


def with_made_rows(study: Study) -> Study:
    """The study with the rows `MADE`."""
    table = study.table("maskx-heads")
    rows = dict(table.rows)
    for name, heads in MADE.items():
        change = {"heads": {f"head-{number}": head for number, head in enumerate(heads)}}
        rows[name] = replace(table.row("few"), name=name, change=change, scales={})
    return replace(study, tables={**study.tables, table.name: replace(table, rows=rows)})


def to_measure(study: Study, known: list[StepTime], only: Sequence[str]) -> list[RunKey]:
    """One run of each kind that trains and is not on record."""
    kinds = [step.kind for step in known]
    found = []
    for key in keys_of(study, "paper"):
        run = resolve(study, key)
        wanted = f"{key.table}/{key.row}" in only if only else kind_of(run).get("heads", 0) <= 2
        if wanted and run.config.steps and kind_of(run) not in kinds:
            kinds.append(kind_of(run))
            found.append(key)
    return found


def measure(study: Study, keys: list[RunKey], device: torch.device) -> Iterator[StepTime]:
    """Time the steps of `keys`, and only run what they need."""
    clocks: dict[RunKey, Clock] = {}

    def watch(run: Run, model: Any) -> None:
        if run.key in keys:
            clocks[run.key] = Clock(device)
            clocks[run.key].watch(model)
            if isinstance(model, Detector):
                fill_with_objects(model)

    options = DryRunOptions(images=IMAGES, steps=STEPS, device=str(device))
    for done in dry_runs(study, keys, options, watch=watch):
        print(done.text(), flush=True)
        if done.key in clocks:
            yield step_time(study, done, clocks[done.key])


def step_time(study: Study, done: DryRun, clock: Clock) -> StepTime:
    """The measurement as it goes on record."""
    first, second = clock.starts
    return StepTime(
        row=f"{done.key.table}/{done.key.row}",
        kind=kind_of(resolve(study, done.key)),
        device="cuda" if clock.device.type == "cuda" else "cpu",
        seconds=round((second - first) / IMAGES, 4),
        images=IMAGES,
        values=clock.values,
        trained=clock.trained,
        memory_mib=round(done.peak_memory_mib or 0.0),
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        machine=describe_device(clock.device),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--again", action="store_true", help="measure what is on record as well")
    parser.add_argument("--only", nargs="*", default=[], metavar="TABLE/ROW")
    said = parser.parse_args()
    device = pick_device(said.device)
    torch.set_num_threads(1)
    study = with_made_rows(load_study())
    steps = [s for s in read_step_times(study.root) if s.device == device.type]
    keys = to_measure(study, [] if said.again else steps, said.only)
    for step in measure(study, keys, device):
        steps = [*(s for s in steps if s.kind != step.kind), step]
        path = record(f"paper_steps_{device.type}", [asdict(s) for s in steps])
        print(f"{step.row}: {step.seconds:.2f} s an image; written to {path.name}", flush=True)
    print(f"{len(steps)} kinds of step are on record in {RESULTS.name}")


if __name__ == "__main__":
    main()
