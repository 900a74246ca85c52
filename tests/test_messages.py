"""Messages name options and commands that exist."""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from wsisbook.cli import COMMANDS
from wsislib.cli import FOLLOW_LINKS

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted([*(ROOT / "wsislib").rglob("*.py"), *(ROOT / "book" / "wsisbook").rglob("*.py")])
FILES = [path for path in FILES if path.parent.name != "batch"]  # its options are Snakemake's
OPTION = re.compile(r"(?<![\w-])--([a-z][a-z-]*[a-z])")
COMMAND = re.compile(r"`wsis ([a-z][a-z0-9-]*(?: [a-z][a-z0-9-]*)?)([^`]*)`")
FOREIGN = {"no-python", "nproc-per-node", "porcelain"}  # of other programs
READERS = ("data check", "train", "evaluate", "teach", "export")  # commands that check labels


def options_of(command: str) -> set[str]:
    module, function, _ = COMMANDS[command]
    parameters = inspect.signature(getattr(importlib.import_module(module), function)).parameters
    return {name.rstrip("_").replace("_", "-") for name in parameters} | {"help", FOLLOW_LINKS[2:]}


KNOWN = {command: options_of(command) for command in COMMANDS}
ALL = set().union(*KNOWN.values()) | {f"no-{name}" for names in KNOWN.values() for name in names}
ALL.add("version")


def texts(path: Path) -> Iterator[str]:
    """Every string of a file, f-strings and joined ones as one, with {} for what is filled in."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inner = {id(v) for n in ast.walk(tree) if isinstance(n, ast.JoinedStr) for v in n.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(v.value if isinstance(v, ast.Constant) else "{}" for v in node.values)
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner
        ):
            yield node.value


def test_messages_name_what_exists() -> None:
    faults = [
        f"{path.name}: {fault}" for path in FILES for t in texts(path) for fault in faults_of(t)
    ]
    assert not faults


def faults_of(text: str) -> Iterator[str]:
    """Options and commands in a text that do not exist."""
    for unknown in set(OPTION.findall(text)) - ALL - FOREIGN:
        yield f"no command has --{unknown}"
    for words, rest in COMMAND.findall(text):
        name = words if words in KNOWN else words.split()[0]
        if any(one.startswith(f"{words} ") for one in KNOWN):
            continue  # a group of commands
        if name not in KNOWN:
            yield f"no `wsis {words}`"
        for odd in set(OPTION.findall(rest)) - KNOWN.get(name, ALL):
            yield f"`wsis {name}` has no --{odd}"


OWN_COMMAND = ("tile_coco", "turned_labels")  # of one command that does not share these options
CHECKS = sorted((ROOT / "wsislib" / "data" / "photographs").glob("*.py"))
CHECKS = [path for path in CHECKS if path.stem not in OWN_COMMAND]


@pytest.mark.parametrize("name", CHECKS, ids=lambda path: path.stem)
def test_a_check_names_options_of_every_command_that_checks(name: Path) -> None:
    shared = set.intersection(*(KNOWN[command] for command in READERS))
    tree = ast.parse(name.read_text(encoding="utf-8"))
    docstrings = {
        ast.get_docstring(node, clean=False)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
    }
    for text in set(texts(name)) - docstrings:
        odd = set(OPTION.findall(COMMAND.sub("", text))) - shared
        assert not odd, f"{odd} are not of all of {READERS}: {text!r}"


def test_the_rules_find_what_is_wrong() -> None:
    assert OPTION.findall("say --allow-empty, or --least box") == ["allow-empty", "least"]
    assert COMMAND.findall("`wsis data check --least box` and") == [("data check", " --least box")]
    assert list(faults_of("`wsis teach --mend x` and --minded"))
    assert not list(faults_of("`wsis data check --mend x`, --allow-empty"))
    assert "allow-empty" in KNOWN["train"] and "mend" not in KNOWN["train"]
