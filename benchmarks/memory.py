"""The memory that this process holds, and the most it has held since asked to forget.

`resource.getrusage` would not do: a process inherits its parent's peak there.
"""

from __future__ import annotations

from pathlib import Path

OWN = Path("/proc/self")


def forget_peak() -> float:
    """MiB held now; peaks are counted from here on.

    Raises:
        OSError: the system has no such counter (it is Linux's).
    """
    (OWN / "clear_refs").write_text("5")
    return _mib("VmRSS")


def peak_mib() -> float:
    """MiB at the peak since `forget_peak`."""
    return _mib("VmHWM")


def _mib(field: str) -> float:
    lines = (OWN / "status").read_text().splitlines()
    found = next(line for line in lines if line.startswith(f"{field}:"))
    return int(found.split()[1]) / 2**10
