"""Randomness by counting: every draw follows from (seed, purpose, counters), never from history.

A run that goes on after a kill therefore needs no saved generator state: step 700 draws the same
numbers whether or not steps 1 to 699 were done by this process.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import torch


class Purpose(IntEnum):
    """What a stream of random numbers is for; streams of two purposes never meet."""

    ORDER = 0
    AUGMENT = 1
    MODEL = 2


def derive_seed(seed: int, purpose: Purpose, *counters: int) -> int:
    """A 63-bit seed from whole numbers >= 0; well mixed, the same on every machine."""
    sequence = np.random.SeedSequence(entropy=seed, spawn_key=(int(purpose), *counters))
    return int(sequence.generate_state(1, np.uint64)[0]) >> 1


def generator_for(seed: int, purpose: Purpose, *counters: int) -> torch.Generator:
    """A CPU generator seeded by `derive_seed`."""
    return torch.Generator().manual_seed(derive_seed(seed, purpose, *counters))
