"""The parameters of a notebook: names and values of its cell tagged `parameters`.

Papermill only warns when it is given a parameter that a notebook does not have; then the
notebook runs with its own value and nobody sees it. So names are checked before anything runs.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wsislib.atomic import read_json
from wsislib.strict import did_you_mean


def notebook_parameters(file: Path) -> dict[str, Any]:
    """Name -> value of the notebook's parameters; empty where it has no such cell.

    Raises:
        ValueError: the file is no notebook, has two such cells, or the cell holds more than
            assignments of literals.
    """
    notebook = read_json(file)
    if not isinstance(notebook, dict) or "cells" not in notebook:
        raise ValueError(f"{file}: not a notebook; it has no cells")
    tagged = [
        cell
        for cell in notebook["cells"]
        if cell.get("cell_type") == "code" and "parameters" in cell["metadata"].get("tags", ())
    ]
    if len(tagged) > 1:
        raise ValueError(f"{file}: {len(tagged)} cells are tagged `parameters`; keep one")
    values: dict[str, Any] = {}
    for cell in tagged:
        source = cell["source"]
        values.update(_literals("".join(source), file))
    return values


def _literals(source: str, file: Path) -> dict[str, Any]:
    """Name -> value of a cell that holds assignments of literals only."""
    where = f"{file}: parameters cell"
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        raise ValueError(f"{where}, line {error.lineno}: not Python ({error.msg})") from None
    values = {}
    for statement in statements:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, value = statement.targets[0], statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            target, value = statement.target, statement.value
        else:
            raise ValueError(f"{where}, line {statement.lineno}: only `name = literal` may be here")
        if not isinstance(target, ast.Name):
            raise ValueError(f"{where}, line {statement.lineno}: only `name = literal` may be here")
        try:
            values[target.id] = ast.literal_eval(value)
        except ValueError:
            raise ValueError(
                f"{where}, line {statement.lineno}: {target.id} is not a literal"
            ) from None
    return values


def check_parameters(file: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters of a notebook, with `given` in place of its own values.

    Raises:
        ValueError: the notebook has no parameter of that name, or one of another type; or as
            `notebook_parameters`.
    """
    own = notebook_parameters(file)
    for name, value in given.items():
        if name not in own:
            raise ValueError(
                f"{file}: the notebook has no parameter {name!r}{did_you_mean(name, own)}"
            )
        before = own[name]
        number = isinstance(before, float) and type(value) is int
        if before is not None and type(value) is not type(before) and not number:
            raise ValueError(
                f"{file}: parameter {name!r} is {value!r}; "
                f"{type(before).__name__} wanted, such as {before!r}"
            )
    return {**own, **given}
