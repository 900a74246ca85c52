"""Parameters that papermill injects into a notebook, checked from inside it.

Papermill only warns of a parameter that a notebook does not have. The notebook would then run with
its own value, and the reader would take its result for another.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from wsislib.strict import did_you_mean

_INJECTED = "# Parameters\n"  # how papermill begins the cell that it adds


def check_injected(cells: Sequence[str]) -> None:
    """Compare what papermill injected with the parameters of the notebook.

    Args:
        cells: the code that was executed so far, in order, such as IPython's `In`.

    Raises:
        ValueError: a parameter was injected that the cell before does not have.
    """
    for own, injected in zip(cells, cells[1:], strict=False):
        if not injected.startswith(_INJECTED):
            continue
        known = _assigned(own)
        for name in _assigned(injected):
            if name not in known:
                hint = did_you_mean(name, known)
                have = ", ".join(known) or "none"
                raise ValueError(
                    f"the notebook has no parameter {name!r}{hint}; its parameters are {have}"
                )


def _assigned(code: str) -> list[str]:
    """Names that a cell assigns at its top level, in order."""
    try:
        statements = ast.parse(code).body
    except SyntaxError:  # a cell with magics is no cell of parameters
        return []
    targets = [t for s in statements if isinstance(s, ast.Assign) for t in s.targets]
    return [target.id for target in targets if isinstance(target, ast.Name)]
