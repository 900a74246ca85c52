"""A WISH for a page to look at: the one that a run kept, or a few dozen steps taken now."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from wsisbook.experiments.wish import build_model, loss_weights, weak_data
from wsisbook.experiments.wish_settings import WishConfig

if TYPE_CHECKING:
    from wsislib.models.wish.wish import WISH

SHORT = WishConfig(
    labels="200 points + 200 boxes",
    categories=20,
    train_count=400,
    val_count=1,
    batch_size=8,
    optimiser="adamw",
    learning_rate=0.001,
    weight_decay=0.05,
    warmup_steps=10,
    schedule="cosine",
    clip_norm=1.0,
    tag_pretraining=True,
    self_start=-1,
)


def student_for(
    scale: str, seed: int, steps: int, table: str = "wish-moments", row: str = "everything"
) -> tuple[WISH, str]:
    """The student of the study's run and what it is; without that run, a short one.

    Args:
        scale: of the run.
        seed: of the run.
        steps: of the short one.
        table: of the run.
        row: of the run.
    """
    from wsisbook.experiments.watched_wish import load_student

    try:
        return load_student(scale, seed, table, row), f"the student of a run at {scale} scale"
    except ValueError as missing:
        instead = f"instead, one after {steps} steps taken here, so its answers are crude"
        return short_student(steps, seed), f"{missing}\n{instead}"


def short_student(steps: int, seed: int, config: WishConfig | None = None) -> WISH:
    """Train the lab's WISH from points and boxes for a few steps.

    Args:
        steps: how many; half a second each on one core.
        seed: of weights and order.
        config: of labels, data and optimiser; None is `SHORT`.
    """
    from wsisbook.experiments.partial_data import data_sets
    from wsisbook.experiments.training import train_config
    from wsisbook.experiments.wish import teacher_of
    from wsislib.engine.train import fit
    from wsislib.models.wish.wish import WISH

    config = replace(config or SHORT, steps=steps, checkpoint_every=steps)
    train, _ = data_sets(config)
    model = build_model(config, len(train.categories), teacher_of(config), seed)
    assert isinstance(model, WISH)
    settings = replace(train_config(config, seed), loss_weights=loss_weights(config))
    with tempfile.TemporaryDirectory() as folder:
        fit(
            model,
            weak_data(config, train, seed),
            settings,
            Path(folder),
            device="cpu",
            progress=False,
        )
    return model.eval()
