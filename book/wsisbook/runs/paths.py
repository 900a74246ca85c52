"""Where the study's files lie: found from the repository root, never written down."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

MARKER = Path("book") / "study.yml"
BUILDING = "WSIS_BUILDING"  # set where notebooks are executed for the published book


def repository_root() -> Path:
    """The folder that holds `book/study.yml`: searched upward from here, then from the package."""
    here = Path.cwd()
    for folder in (here, *here.parents, *Path(__file__).resolve().parents):
        if (folder / MARKER).is_file():
            return folder
    raise ValueError(
        f"found no {MARKER.as_posix()} in {here} or above it; "
        "start from inside a clone of the study book"
    )


def build_folder(root: Path | None = None) -> Path:
    """The folder for everything that can be made again; git does not see it."""
    return (root or repository_root()) / "build"


def cache_folder() -> Path:
    """Where masks that were made from cheap labels are kept: WSIS_CACHE, else `build/`."""
    return _from_environment("WSIS_CACHE") or build_folder()


def data_folder(root: Path | None = None) -> Path:
    """Where the user's data sets lie: WSIS_DATA, else `data/` in the repository."""
    return _from_environment("WSIS_DATA") or (root or repository_root()) / "data"


def results_root(scale: str, root: Path | None = None) -> Path:
    """Where runs and tables of a scale lie: WSIS_RESULTS, else by scale (lab's is committed)."""
    named = {"lab": "results", "smoke": "build/smoke"}.get(scale, f"results/{scale}")
    return _from_environment("WSIS_RESULTS") or (root or repository_root()) / named


def _from_environment(variable: str) -> Path | None:
    named = os.environ.get(variable)
    return Path(named).expanduser() if named else None


def without_paths(text: str) -> str:
    """`text` with the repository and home folders shortened, fit for a committed record."""
    places = [(str(Path.home()), "~")]
    with contextlib.suppress(ValueError):
        places.insert(0, (str(repository_root()), "."))
    for folder, short in places:
        if len(folder) > 1:  # a home of "/" would replace every slash
            text = text.replace(folder, short)
    return text
