"""Experiment `watched_wish`: experiment `wish`, looked at while it trains.

It gives the numbers that `wish` gives with the same settings. Beside them the run publishes
moments.safetensors, what the model said of a few validation scenes at some steps, with numbers of
those steps under `moments`; and where asked for student.safetensors, the trained model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsisbook.experiments.partial_data import data_sets
from wsisbook.experiments.wish import WISH_EXPERIMENT, run_wish
from wsisbook.experiments.wish_settings import WishConfig
from wsisbook.runs.experiments import Context, Outcome

if TYPE_CHECKING:
    from wsisbook.experiments.wish_moments import SnapshotRecorder

MOMENTS = "moments.safetensors"


@dataclass(frozen=True)
class WatchedWishConfig(WishConfig):
    """Settings of a run of WISH that is looked at.

    Attributes:
        moments: how many steps are done when it is looked at, and the last step beside them; none
            where empty.
        keep_student: publish the trained model, a few MB.
    """

    moments: tuple[int, ...] = ()
    keep_student: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.method != "wish":
            raise ValueError(f"moments are those of method 'wish', not {self.method!r}")
        wrong = [step for step in self.moments if not 1 <= step <= self.steps]
        if wrong:
            raise ValueError(f"moments {wrong} are no steps of a training of {self.steps}")


def run_watched_wish(context: Context) -> Outcome:
    """Train, judge and look; to `run_wish`'s metrics it adds `moments`.

    `moments.<step>` has `cam` (hits, found, points, objects) and `segm` (AP, AP50), both on the
    first validation scenes; `moments.last` is the last step's.
    """
    from wsisbook.experiments.wish_moments import SnapshotRecorder
    from wsisbook.experiments.wish_student import STUDENT, save_student

    config: WatchedWishConfig = context.config
    steps = sorted({*config.moments, config.steps}) if config.moments else []
    val = data_sets(config)[1]
    watches: list[SnapshotRecorder] = []

    def on_model(model: Any) -> None:
        context.on_model(model)
        watches.append(SnapshotRecorder(model, val, steps, context.folder))

    def after_step(step: int) -> None:
        watches[0](step)

    outcome = run_wish(replace(context, on_model=on_model), after_step)
    (watch,) = watches
    files: dict[str, Path] = {}
    metrics: dict[str, Any] = {}
    if steps:
        files[MOMENTS], metrics["moments"] = watch.gather(), watch.metrics()
    if config.keep_student:
        files[STUDENT] = save_student(watch.model, context.folder / STUDENT)
    return replace(
        outcome, metrics={**outcome.metrics, **metrics}, files={**outcome.files, **files}
    )


WATCHED_WISH = replace(WISH_EXPERIMENT, config=WatchedWishConfig, run=run_watched_wish)
