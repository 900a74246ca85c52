"""The rules of the house, read from the source: rooms, arrows, circles, sizes, names."""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"wsislib": ROOT / "wsislib", "wsisbook": ROOT / "book" / "wsisbook"}
MOST_FILES = 20
MOST_LINES = 400  # a file of more than about 250 should have a reason

# Room -> prefixes of what it may import. A room is a folder or a module of a package; the longest
# name that fits decides. The package's own name (for its version) may be imported by all.
ALLOWED = {
    # The library: data flows from samples to losses to models; nothing knows the study.
    "wsislib": ("wsislib.data.sample",),
    "wsislib.atomic": (),
    "wsislib.strict": (),
    "wsislib.data": ("wsislib.data", "wsislib.atomic"),
    "wsislib.labels": ("wsislib.labels", "wsislib.data", "wsislib.atomic"),
    "wsislib.losses": ("wsislib.losses", "wsislib.data.sample", "wsislib.data.geometry"),
    "wsislib.matching": ("wsislib.losses", "wsislib.data.sample"),
    "wsislib.models": (
        "wsislib.models.assets",
        "wsislib.models.backbone",
        "wsislib.models.efficientnet_lite",
        "wsislib.losses",
        "wsislib.matching",
        "wsislib.data.sample",
    ),
    "wsislib.models.maskrcnn": (
        "wsislib.models.maskrcnn",
        "wsislib.models.backbone",
        "wsislib.models.efficientnet_lite",
        "wsislib.losses",
        "wsislib.data.sample",
    ),
    "wsislib.models.mask2former": (
        "wsislib.models.mask2former",
        "wsislib.models.backbone",
        "wsislib.models.efficientnet_lite",
        "wsislib.losses",
        "wsislib.matching",
        "wsislib.data.sample",
        "wsislib.data.geometry",
    ),
    "wsislib.models.sam": (
        "wsislib.models.sam",
        "wsislib.data.mask_runs",
        "wsislib.data.windows",
        "wsislib.data.transforms",
        "wsislib.models.assets",
        "wsislib.models.backbone",
        "wsislib.models.efficientnet_lite",
        "wsislib.losses",
        "wsislib.data.sample",
    ),
    "wsislib.models.wish": (
        "wsislib.models.wish",
        "wsislib.models.mask2former",
        "wsislib.models.sam",
        "wsislib.models.backbone",
        "wsislib.models.efficientnet_lite",
        "wsislib.losses",
        "wsislib.matching",
        "wsislib.data.sample",
        "wsislib.data.geometry",
    ),
    "wsislib.formats": ("wsislib.formats", "wsislib.data", "wsislib.strict", "wsislib.atomic"),
    "wsislib.engine": (
        "wsislib.engine",
        "wsislib.data.sample",
        "wsislib.data.rle",
        "wsislib.data.transforms",
        "wsislib.strict",
        "wsislib.atomic",
    ),
    "wsislib.viz": ("wsislib.viz", "wsislib.data", "wsislib.labels", "wsislib.atomic"),
    "wsislib.teacher": (
        "wsislib.teacher",
        "wsislib.data",
        "wsislib.labels",
        "wsislib.losses",
        "wsislib.models",
        "wsislib.engine",
        "wsislib.atomic",
    ),
    "wsislib.annotate": (
        "wsislib.annotate",
        "wsislib.data",
        "wsislib.labels",
        "wsislib.models.sam",
        "wsislib.models.teacher_names",
        "wsislib.viz.palette",
        "wsislib.atomic",
    ),
    "wsislib.photos": (
        "wsislib.photos",
        "wsislib.data",
        "wsislib.labels",
        "wsislib.models",
        "wsislib.engine",
        "wsislib.teacher",
        "wsislib.viz",
        "wsislib.strict",
        "wsislib.cli",  # exit codes
        "wsislib.atomic",
    ),
    "wsislib.commands": (
        "wsislib.commands",
        "wsislib.annotate",
        "wsislib.data",
        "wsislib.formats",
        "wsislib.labels",
        "wsislib.models",
        "wsislib.teacher",
        "wsislib.photos",
        "wsislib.engine",
        "wsislib.cli",  # exit codes
        "wsislib.atomic",
    ),
    "wsislib.cli": ("wsislib.commands", "wsislib.photos", "wsislib.strict"),
    # The study: declared rows become runs, runs become tables, tables become pages.
    "wsisbook": (),
    "wsisbook.runs": (
        "wsisbook.runs",
        "wsislib.atomic",
        "wsislib.strict",
        "wsislib.cli",  # exit codes
        "wsislib.engine.memory",
    ),
    "wsisbook.recipes": ("wsisbook.recipes", "wsislib"),
    "wsisbook.experiments": (
        "wsisbook.experiments",
        "wsisbook.recipes",
        "wsisbook.runs",
        "wsislib",
    ),
    "wsisbook.tables": (
        "wsisbook.tables",
        "wsisbook.experiments",
        "wsisbook.runs",
        "wsislib.viz",
        "wsislib.atomic",
        "wsislib.strict",
    ),
    "wsisbook.photographs": (
        "wsisbook.photographs",
        "wsisbook.tables",
        "wsisbook.runs",
        "wsislib",
    ),
    "wsisbook.trying": ("wsisbook.plan", "wsisbook.tables", "wsisbook.runs"),
    "wsisbook.reading": (
        "wsisbook.trying",
        "wsisbook.photographs",
        "wsisbook.tables",
        "wsisbook.experiments",
        "wsisbook.runs",
        "wsislib",
    ),
    "wsisbook.plan": (
        "wsisbook.plan",
        "wsisbook.tables",
        "wsisbook.experiments",
        "wsisbook.runs",
        "wsislib",
    ),
    "wsisbook.batch": ("wsisbook.batch", "wsisbook.plan", "wsisbook.runs", "wsislib.atomic"),
    "wsisbook.publish": (
        "wsisbook.publish",
        "wsisbook.batch",
        "wsisbook.plan",
        "wsisbook.tables",
        "wsisbook.runs",
        "wsislib.atomic",
        "wsislib.strict",
        "wsislib.viz",
    ),
    "wsisbook.part0": ("wsisbook.part0", "wsislib"),
    "wsisbook.part1": (
        "wsisbook.part1",
        "wsisbook.part0",
        "wsisbook.reading",
        "wsisbook.tables",
        "wsisbook.experiments",
        "wsisbook.runs",
        "wsislib",
    ),
    "wsisbook.part2": (
        "wsisbook.part2",
        "wsisbook.part0",
        "wsisbook.reading",
        "wsisbook.tables",
        "wsisbook.experiments",
        "wsisbook.runs",
        "wsislib",
    ),
    "wsisbook.commands": (
        "wsisbook.commands",
        "wsisbook.photographs",
        "wsisbook.publish",
        "wsisbook.batch",
        "wsisbook.plan",
        "wsisbook.recipes",
        "wsisbook.tables",
        "wsisbook.runs",
        "wsislib",
    ),
    "wsisbook.cli": ("wsislib.cli",),
}


def modules() -> list[Path]:
    return sorted(file for package in PACKAGES.values() for file in package.rglob("*.py"))


def name_of(path: Path) -> str:
    package = next(p for p in PACKAGES.values() if path.is_relative_to(p))
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path): path for path in modules()}


def imports_of(path: Path) -> set[str]:
    """Every module of both packages that a file names, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write the whole name of the module"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in NAMES else str(node.module))
    return {name for name in found if name.split(".")[0] in PACKAGES}


def within(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def room_of(name: str) -> str:
    return max((room for room in ALLOWED if within(name, room)), key=len)


each = pytest.mark.parametrize("path", modules(), ids=name_of)


@each
def test_imports_point_the_right_way(path: Path) -> None:
    name = name_of(path)
    room = room_of(name)
    assert room not in PACKAGES or name == room or room == "wsisbook", (
        f"{name}: a new room needs a line in ALLOWED"
    )
    for wanted in sorted(imports_of(path) - set(PACKAGES)):
        assert any(within(wanted, prefix) for prefix in ALLOWED[room]), (
            f"{name} imports {wanted}; {room} may import {', '.join(ALLOWED[room]) or 'nothing'} "
            "(ALLOWED in tests/test_imports.py)"
        )


@each
def test_no_drawer_for_odds_and_ends(path: Path) -> None:
    assert path.stem not in {"utils", "util", "misc", "helpers", "common"}


@each
def test_a_file_is_one_idea(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MOST_LINES, f"{name_of(path)} has {lines} lines; what are the two ideas in it?"


def test_no_folder_is_a_heap() -> None:
    files = Counter(path.parent for path in modules())
    heaps = {str(folder.relative_to(ROOT)): n for folder, n in files.items() if n > MOST_FILES}
    assert heaps == {}, "a folder of many files is several rooms; make sub-folders"


def test_imports_make_no_circle() -> None:
    """No module is reached again from itself, imports inside functions included."""
    needs = {name: imports_of(path) & set(NAMES) - {name} for name, path in NAMES.items()}

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            new = needs[waiting.pop()] - seen
            seen |= new
            waiting += new
        return seen

    assert [name for name in needs if name in reached(name)] == []


def test_a_public_name_is_defined_once() -> None:
    """Whoever reads a name in one place finds one definition of it."""
    places: dict[str, list[str]] = {}
    for name, path in NAMES.items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            defined = isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            if defined and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(name)
    twice = {name: found for name, found in places.items() if len(found) > 1 and name != "main"}
    assert twice == {}


def test_the_door_opens_quickly() -> None:
    """`wsis --help` must not wait for PyTorch."""
    code = "import sys, wsisbook.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_the_rule_sees_an_import_inside_a_function(tmp_path: Path) -> None:
    file = tmp_path / "late.py"
    file.write_text("def f():\n    from wsislib.models import backbone\n    import wsislib.cli\n")
    assert imports_of(file) == {"wsislib.cli", "wsislib.models.backbone"}
