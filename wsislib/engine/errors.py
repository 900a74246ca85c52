"""What can end a training run early, each with one message that says how to go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


class Interrupted(KeyboardInterrupt):
    """The run was asked to stop (Ctrl-C or SIGTERM); it finished its step and saved first."""

    def __init__(self, step: int, steps: int, folder: Path) -> None:
        self.step = step
        self.folder = folder
        super().__init__(
            f"stopped after step {step} of {steps}; everything is saved in {folder}. "
            "Start the same command again to go on from there."
        )


class NonFiniteLoss(RuntimeError):
    """A loss term or the gradient stopped being a number."""

    def __init__(
        self, step: int, terms: Mapping[str, float], image_ids: Sequence[int], folder: Path
    ) -> None:
        self.step = step
        self.terms = dict(terms)
        self.image_ids = tuple(image_ids)
        listed = ", ".join(f"{name} {value:.4g}" for name, value in terms.items())
        super().__init__(
            f"step {step}: a value is not finite ({listed}); images {list(image_ids)}. "
            f"The weights before this step are untouched and the last checkpoint in {folder} is "
            "good. Look at these images with `wsis data check`, or lower the learning rate, warm "
            "up for longer, clip the gradient (clip_norm) or train with precision float32."
        )


class RunBusy(RuntimeError):
    """Another process is already doing the run of this folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(
            f"{folder}: another process is training in this folder now. "
            "Wait until it has ended, or give this run a folder of its own."
        )


class CheckpointWarning(UserWarning):
    """A checkpoint could not be used and an earlier one was taken."""
