"""Room on disk: what files take, and what a run will."""

from __future__ import annotations


def size(count: float) -> str:
    """Bytes for a reader: '12 kB', '180 MB', '1.6 GB' (powers of ten, as disks are sold)."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            value = count / unit
            return f"{value:.1f} {name}" if value < 10 else f"{value:.0f} {name}"
    return f"{count:.0f} B"
