"""The GPU benchmark's sections: resumable, each within its time, tried without a GPU."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "benchmarks" / "gpu"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"gpu_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def sections(monkeypatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", [*sys.path])
    return script("sections")


def says(text: str, code: int = 0) -> list[str]:
    return [sys.executable, "-c", f"print({text!r}); raise SystemExit({code})"]


def run(sections: ModuleType, folder: Path, *options: str) -> tuple[int, dict[str, dict]]:
    code = sections.main(["--tiny", "--device", "cpu", "--output", str(folder), *options])
    rows = json.loads((folder / "gpu_cpu_tiny.json").read_text())["rows"]
    return code, {row["section"]: row for row in rows}


def test_the_smallest_section(sections, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sections, "TINY_TESTS", "nms")
    code, rows = run(sections, tmp_path, "--only", "numeric tests")
    assert code == 0, rows
    row = rows["numeric tests"]
    assert (row["passed"], row["failed"], row["skipped"]) == (1, 0, 0)


def test_what_is_on_record_is_left_alone(sections, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sections, "command", lambda *_: says('warming up\n{"x": 1}'))
    assert run(sections, tmp_path, "--only", "mask-rcnn")[0] == 0
    monkeypatch.setattr(sections, "command", lambda *_: says('{"x": 2}'))
    _, rows = run(sections, tmp_path, "--only", "mask-rcnn", "maskx-rcnn")
    assert (rows["mask-rcnn"]["x"], rows["maskx-rcnn"]["x"]) == (1, 2)
    _, rows = run(sections, tmp_path, "--only", "mask-rcnn", "--again")
    assert rows["mask-rcnn"]["x"] == 2
    # With another torch nothing is on record.
    monkeypatch.setattr(sections, "machine", lambda: {"libraries": {"torch": "0.0"}})
    assert list(run(sections, tmp_path, "--only", "mask-rcnn")[1]) == ["mask-rcnn"]


def test_a_section_that_fails_is_told_and_tried_again(sections, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sections, "command", lambda *_: says("out of memory", 3))
    code, rows = run(sections, tmp_path, "--only", "wish-tags")
    assert code == 1 and rows["wish-tags"]["error"] == "exit status 3: out of memory"
    slow = [sys.executable, "-c", "import time; time.sleep(60)"]
    monkeypatch.setattr(sections, "command", lambda *_: slow)
    monkeypatch.setitem(sections.SECTIONS, "wish-tags", 0.2)
    assert run(sections, tmp_path, "--only", "wish-tags")[1]["wish-tags"]["error"].startswith(
        "took longer than"
    )
    monkeypatch.setattr(sections, "command", lambda *_: says('{"x": 1}'))
    assert run(sections, tmp_path, "--only", "wish-tags")[0] == 0


def test_ten_minutes_are_enough(sections) -> None:
    assert sum(sections.SECTIONS.values()) < 600


def test_what_is_carried_is_pinned() -> None:
    pins = {
        line.partition("==")[0].replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    lines = (FOLDER / "wheels.txt").read_text().splitlines()
    carried = {line.split()[1] for line in lines if not line.startswith("#")}
    assert carried <= pins
