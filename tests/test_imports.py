"""Which part may import which, read from the source."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "wsislib"
DOORS = ("wsislib.cli", "wsislib.commands")

# Part -> prefixes of what it may import from the library. A prefix that ends in a dot allows all
# below it; one that does not allows that module only (or names taken from it).
ALLOWED = {
    "atomic": (),
    "data": ("wsislib.data", "wsislib.atomic"),
    "labels": ("wsislib.labels", "wsislib.data", "wsislib.atomic"),
    "losses": ("wsislib.losses", "wsislib.data.sample"),
    "matching": ("wsislib.matching", "wsislib.losses", "wsislib.data.sample"),
    "models": ("wsislib.models", "wsislib.losses", "wsislib.matching", "wsislib.data.sample"),
    "engine": (
        "wsislib.engine",
        "wsislib.data.sample",
        "wsislib.data.rle",
        "wsislib.data.transforms",
        "wsislib.atomic",
    ),
    "viz": ("wsislib.viz", "wsislib.data", "wsislib.labels", "wsislib.atomic"),
    "annotate": (
        "wsislib.annotate",
        "wsislib.data",
        "wsislib.labels",
        "wsislib.models.prompts",
        "wsislib.models.sam",
        "wsislib.models.sam_weights",
        "wsislib.viz.palette",
        "wsislib.atomic",
    ),
    "study": ("wsislib",),
    "commands": ("wsislib",),
    "cli": ("wsislib.commands", "wsislib.study"),
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def imports_of(path: Path) -> set[str]:
    """Every wsislib module that a file names, also inside functions and `from x import y`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write the whole name of the module"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if is_module(whole) else str(node.module))
    return {name for name in found if name.split(".")[0] == "wsislib"}


def within(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_imports_point_the_right_way(path: Path) -> None:
    name = name_of(path)
    if name == "wsislib":
        allowed: tuple[str, ...] = ("wsislib.data.sample",)
    else:
        part = name.split(".")[1]
        assert part in ALLOWED, f"{name}: a new part of the library needs a line in ALLOWED"
        allowed = ALLOWED[part]
    for wanted in sorted(imports_of(path) - {"wsislib"}):  # the package itself: its version
        assert any(within(wanted, prefix) for prefix in allowed), (
            f"{name} imports {wanted}; it may import {', '.join(allowed) or 'nothing'}"
        )
        if not within(name, "wsislib.cli") and not within(name, "wsislib.commands"):
            assert not any(within(wanted, door) for door in DOORS), f"{name} imports {wanted}"


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_no_drawer_for_odds_and_ends(path: Path) -> None:
    assert path.stem not in {"utils", "util", "misc", "helpers", "common"}


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_file_is_one_idea(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= 275, f"{name_of(path)} has {lines} lines; what are the two ideas in it?"


def test_the_door_opens_quickly() -> None:
    """`wsis --help` must not wait for PyTorch."""
    code = "import sys, wsislib.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_the_rule_sees_an_import_inside_a_function(tmp_path: Path) -> None:
    file = tmp_path / "late.py"
    file.write_text("def f():\n    from wsislib.models import mask_rcnn\n    import wsislib.cli\n")
    assert {"wsislib.cli"} < imports_of(file)
    assert any(within(name, "wsislib.models") for name in imports_of(file))
