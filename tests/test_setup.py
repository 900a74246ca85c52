"""pyproject.toml, constraints.txt, environment.yml and the Makefile say the same thing."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SETUP_EXTRAS = {"book", "dev", "batch", "photos"}


def pins() -> dict[str, Version]:
    found: dict[str, Version] = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        name, _, version = line.partition("==")
        assert version, f"constraints.txt: {line!r} pins nothing"
        assert canonicalize_name(name) not in found, f"constraints.txt: {name} is pinned twice"
        found[canonicalize_name(name)] = Version(version)
    return found


def requirements(extras: set[str]) -> list[Requirement]:
    lines = list(PROJECT["dependencies"])
    for extra in sorted(extras):
        lines += PROJECT["optional-dependencies"][extra]
    return [Requirement(line) for line in lines]


def environment() -> dict:
    return yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))


def pip_lines() -> list[str]:
    for entry in environment()["dependencies"]:
        if isinstance(entry, dict):
            return entry["pip"]
    raise AssertionError("environment.yml has no pip section")


@pytest.mark.parametrize("requirement", requirements(SETUP_EXTRAS), ids=lambda r: r.name)
def test_every_requirement_has_a_tested_pin_inside_its_bounds(requirement: Requirement) -> None:
    pin = pins().get(canonicalize_name(requirement.name))
    assert pin is not None, f"constraints.txt has no pin for {requirement.name}"
    assert pin in requirement.specifier, f"{requirement} does not allow the tested {pin}"
    assert requirement.specifier, f"{requirement.name} has no lower bound in pyproject.toml"


def test_old_torch_is_allowed() -> None:
    bounds = {r.name: r.specifier for r in requirements(set())}
    assert "2.11.0" in bounds["torch"]
    assert "0.26.0" in bounds["torchvision"]


def test_constraints_name_no_place() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert not re.search(r"://|file:|@|/", re.sub(r"^#.*$", "", text, flags=re.M))


def test_environment_installs_what_make_setup_installs() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    extras = re.search(r"--editable '\.\[([a-z,]+)\]' --constraint constraints\.txt", makefile)
    assert extras, "the Makefile does not install the package with constraints.txt"
    assert set(extras[1].split(",")) == SETUP_EXTRAS
    assert pip_lines() == ["--constraint constraints.txt", f"--editable .[{extras[1]}]"]


def test_environment_has_a_python_that_is_allowed() -> None:
    (python,) = [e for e in environment()["dependencies"] if str(e).startswith("python")]
    version = re.fullmatch(r"python=(\d+\.\d+)", python)
    assert version, f"environment.yml: {python!r} should read python=<major>.<minor>"
    assert version[1] in SpecifierSet(PROJECT["requires-python"])


def test_core_does_not_need_the_book() -> None:
    core = {canonicalize_name(r.name) for r in requirements(set())}
    heavy = {"jupyter-book", "jupyterlab", "papermill", "snakemake", "pytest", "transformers"}
    assert not core & heavy


def test_files_that_a_reader_looks_for_are_there() -> None:
    wanted = ("README.md", "LICENSE", "CITATION.cff", "CHANGELOG.md", "CONTRIBUTING.md")
    assert [name for name in wanted if not (ROOT / name).is_file()] == []


def test_a_forge_and_pre_commit_check_what_we_check() -> None:
    """The workflow runs `.ci/run`; the hooks are the commands of `make lint`."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    steps = workflow["jobs"]["run"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == ["bash .ci/run"]
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook["entry"] for repo in config["repos"] for hook in repo["hooks"]]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", makefile, re.M)
    assert lint, "the Makefile has no target lint"
    for line, hook in zip(lint[1].splitlines(), hooks, strict=True):
        command = line.strip().removeprefix("$(BIN)/").removesuffix(" .")
        assert hook.removeprefix(".venv/bin/").removesuffix(" --force-exclude") == command
