"""Room on disk: what files take, and what a run will."""

from __future__ import annotations

from dataclasses import dataclass

VALUE = 4  # bytes of a float32
_KEPT = 2  # checkpoints that training keeps, see engine/checkpoint.py


@dataclass(frozen=True)
class Room:
    """Bytes that a run takes.

    Attributes:
        weights: what stays beside its numbers; another run may need it.
        checkpoint: model and optimiser at one step.
    """

    weights: int
    checkpoint: int

    @property
    def training(self) -> int:
        """The most there is at a time.

        Either a checkpoint is written beside those that are kept, or at the end the weights are
        copied to their place.
        """
        writing = (_KEPT + 1) * self.checkpoint
        ending = _KEPT * self.checkpoint + 2 * self.weights
        return max(writing, ending)


def room(values: int, trained: int, optimiser: str, momentum: float) -> Room:
    """The room of a run, from the size of its model.

    Args:
        values: numbers in the model's state, buffers included.
        trained: those of them that learn; the optimiser keeps one number for each (SGD with
            momentum), or two (AdamW).
        optimiser: "sgd" or "adamw".
        momentum: of SGD; without, it keeps nothing.
    """
    own = 2 if optimiser == "adamw" else int(momentum > 0)
    return Room(VALUE * values, VALUE * (values + own * trained))


def size(count: float) -> str:
    """Bytes for a reader: '12 kB', '180 MB', '1.6 GB' (powers of ten, as disks are sold)."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            value = count / unit
            return f"{value:.1f} {name}" if value < 10 else f"{value:.0f} {name}"
    return f"{count:.0f} B"
