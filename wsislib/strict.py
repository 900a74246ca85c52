"""Strict reading of YAML and of mappings: a wrong key is an error that says what was meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
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
                    f"{mark.name}: line {mark.line + 1}: key {key!r} is given twice; "
                    "remove one of the two"
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """The content of a YAML file.

    Raises:
        ValueError: the file is missing, is not YAML, or gives a key twice; names the line.
    """
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


def reject_unknown(mapping: Any, known: Iterable[str], where: str) -> Mapping[str, Any]:
    """`mapping` as it is, after checking that it is one and has no unknown key.

    Raises:
        ValueError: names `where`, the key and its nearest known names.
    """
    if mapping is None:
        return {}
    if not isinstance(mapping, Mapping):
        raise ValueError(f"{where}: a mapping is wanted here, found {mapping!r}")
    allowed = list(known)
    for key in mapping:
        if key not in allowed:
            raise ValueError(f"{where}: unknown key {key!r}{did_you_mean(str(key), allowed)}")
    return mapping


def require(mapping: Mapping[str, Any], key: str, where: str, kind: type = str) -> Any:
    """`mapping[key]`, which must be there and be of type `kind`.

    Raises:
        ValueError: it is missing or of another type.
    """
    if key not in mapping:
        raise ValueError(f"{where}: {key!r} is missing")
    value = mapping[key]
    if not isinstance(value, kind):
        raise ValueError(f"{where}.{key}: {kind.__name__} wanted, found {value!r}")
    return value
