"""How far golden numbers move on other processors: `python -m tests.golden.spread [part ...]`.

The largest relative move under many other roundings (`tests/other_rounding.py`) is what a part's
tolerance must cover. A digest that moves is shown as "inf": it holds what is not the same
everywhere.
"""

import sys

import torch

from tests.golden.compare import moves, recorded
from tests.golden.measure import MEASURES
from tests.golden.tolerances import tolerance_of
from tests.other_rounding import OtherRounding


def spread(part: str, runs: int = 20) -> dict[str, float]:
    """Number -> largest relative move from the record over `runs` other roundings."""
    record = recorded(part)
    assert record is not None
    worst: dict[str, float] = {}
    for seed in range(1, runs + 1):
        with OtherRounding(seed):
            now = MEASURES[part]()
        for name, move in moves(record["numbers"], now).items():
            worst[name] = max(move, worst.get(name, 0.0))
    return worst


def main() -> None:
    """Print each part's three largest moves as shares of what is allowed."""
    torch.set_num_threads(1)
    for part in sys.argv[1:] or MEASURES:
        found = spread(part)
        worst = sorted(found, key=lambda n: found[n] / tolerance_of(part, n), reverse=True)[:3]
        shown = (f"{n} {found[n]:.1e} of {tolerance_of(part, n):.0e}" for n in worst)
        print(f"{part}: {'; '.join(shown)}", flush=True)


if __name__ == "__main__":
    main()
