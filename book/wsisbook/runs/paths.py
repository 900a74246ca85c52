"""Where the study's files lie: found from the repository root, never written down."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

MARKER = Path("book") / "study.yml"


def repository_root(start: Path | None = None) -> Path:
    """The folder that holds `book/study.yml`: searched upward from `start`, then the package.

    Args:
        start: where to begin; the current folder if None.

    Raises:
        ValueError: neither place lies inside a study repository.
    """
    first = Path.cwd() if start is None else Path(start)
    package = Path(__file__)
    for place in (first, package):
        for folder in (place.resolve(), *place.resolve().parents):
            if (folder / MARKER).is_file():
                return folder
    raise ValueError(
        f"found no {MARKER.as_posix()} in {first.resolve()} or above it; "
        "start from inside a clone of the study book"
    )


def study_file(root: Path | None = None) -> Path:
    """`book/study.yml` of the repository."""
    return (root or repository_root()) / MARKER


def build_folder(root: Path | None = None) -> Path:
    """The folder for everything that can be made again; git does not see it."""
    return (root or repository_root()) / "build"


def cache_folder(root: Path | None = None) -> Path:
    """Where masks that were made from cheap labels are kept: WSIS_CACHE, else `build/`."""
    named = os.environ.get("WSIS_CACHE")
    return Path(named).expanduser() if named else build_folder(root)


def data_folder(root: Path | None = None) -> Path:
    """Where the user's data sets lie: WSIS_DATA, else `data/` in the repository."""
    named = os.environ.get("WSIS_DATA")
    return Path(named).expanduser() if named else (root or repository_root()) / "data"


def results_root(scale: str, root: Path | None = None) -> Path:
    """Where runs and tables of a scale live.

    lab: `results/` (committed), smoke: `build/smoke/`, any other: `results/<scale>/`. The
    environment variable WSIS_RESULTS names another folder, for any scale.
    """
    override = os.environ.get("WSIS_RESULTS")
    if override:
        return Path(override).expanduser()
    base = root or repository_root()
    if scale == "lab":
        return base / "results"
    if scale == "smoke":
        return base / "build" / "smoke"
    return base / "results" / scale


def without_paths(text: str) -> str:
    """`text` with the repository and home folders shortened, fit for a committed record."""
    places = [(str(Path.home()), "~")]
    with contextlib.suppress(ValueError):
        places.insert(0, (str(repository_root()), "."))
    for folder, short in places:
        if len(folder) > 1:
            text = text.replace(folder, short)
    return text
