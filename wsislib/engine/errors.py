"""What can end a training run early: a request to stop, and errors that say how to go on."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType


class StopRequest:
    """Whether somebody asked this process to stop."""

    def __init__(self) -> None:
        self.made = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Signal handler: note the request; a second Ctrl-C stops at once."""
        if self.made and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.made = True


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Catch SIGINT and SIGTERM inside the block; put the old handlers back after it.

    Outside the main thread, where Python lets no one set handlers, the request is never made.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Interrupted(KeyboardInterrupt):
    """The run was asked to stop (Ctrl-C or SIGTERM); it finished its step and saved first."""

    def __init__(self, step: int, steps: int, folder: Path) -> None:
        super().__init__(
            f"stopped after step {step} of {steps}; everything is saved in {folder}. "
            "Start the same command again to go on from there."
        )


class NonFiniteLoss(RuntimeError):
    """A loss term or the gradient stopped being a number."""

    def __init__(
        self, step: int, terms: Mapping[str, float], image_ids: Sequence[int], folder: Path
    ) -> None:
        self.step, self.image_ids = step, tuple(image_ids)
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
        super().__init__(
            f"{folder}: another process is training in this folder now. "
            "Wait until it has ended, or give this run a folder of its own."
        )


class CheckpointWarning(UserWarning):
    """A checkpoint could not be used and an earlier one was taken."""
