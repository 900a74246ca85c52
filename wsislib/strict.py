"""Strict reading: a wrong key is an error that names what was meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML in which a key that is given twice is an error, not a silent override."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                mark = key_node.start_mark
                raise ValueError(
                    f"{mark.name}: line {mark.line + 1}: key {key!r} is given twice; remove one"
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """The content of a YAML file; ValueError names the line that is not YAML or repeats a key."""
    try:
        with open(path, encoding="utf-8") as stream:
            return yaml.load(stream, Loader=_StrictLoader)
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark is not None else ""
        what = getattr(error, "problem", None) or str(error)
        raise ValueError(f"{path}: {where}not valid YAML ({what})") from error


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """'; did you mean ...?' where something in `known` is close to `name`, else the list."""
    names = [str(item) for item in known]
    close = difflib.get_close_matches(str(name), names, n=2, cutoff=0.6)
    if close:
        return "; did you mean " + " or ".join(repr(item) for item in close) + "?"
    return "; known: " + (", ".join(sorted(names)) if names else "none")


def reject_unknown(keys: Iterable[str], known: Iterable[str], where: str) -> None:
    """Raise a ValueError that names `where`, the first unknown key and its nearest known ones."""
    allowed = list(known)
    for key in keys:
        if key not in allowed:
            raise ValueError(f"{where}: unknown key {key!r}{did_you_mean(str(key), allowed)}")
