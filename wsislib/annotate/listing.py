"""The images of a folder and of the folders inside it, by name; none is opened."""

from __future__ import annotations

import os
from pathlib import Path

from wsislib.data.images import IMAGE_SUFFIXES, links_allowed


def image_names(root: Path) -> list[str]:
    """Names of the images below `root`, relative to it, with `/` between folders, sorted.

    Hidden files and folders are passed by, as are links to folders unless links are allowed; a
    folder that several links lead to counts once.
    Raises ValueError where `root` is no folder or holds no image at any depth.
    """
    if not root.is_dir():
        raise ValueError(f"{root}: no such folder")
    names: list[str] = []
    seen: set[str] = set()
    for folder, inside, files in os.walk(root, followlinks=links_allowed()):
        real = os.path.realpath(folder)
        if real in seen:  # a link that leads in a circle, or to a folder that was listed
            inside[:] = []
            continue
        seen.add(real)
        inside[:] = [name for name in inside if not name.startswith(".")]
        here = Path(folder).relative_to(root)
        suffixed = (f for f in files if Path(f).suffix.lower() in IMAGE_SUFFIXES)
        names += [(here / name).as_posix() for name in suffixed if not name.startswith(".")]
    if not names:
        suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
        raise ValueError(f"{root}: holds no image (looked for {suffixes}, in its folders too)")
    return sorted(names)
