"""The reading map and the picture of the house."""

from pathlib import Path

import pytest

from wsisbook.publish.architecture import layers, reduced, room_arrows
from wsisbook.publish.reading_map import core_files, read_map, reading_page, write_reading_map

ROOT = Path(__file__).resolve().parents[3]


def test_the_map_leads_through_every_file_of_the_core_once() -> None:
    named = [file for evening in read_map(ROOT) for file, _, _ in evening["files"]]
    assert len(named) == len(set(named))
    missing = set(core_files(ROOT)) - set(named)
    assert not missing, f"add to book/reading_map.yml: {', '.join(sorted(missing))}"
    assert set(named) - {"wsislib/data/sample.py"} == set(core_files(ROOT))


def test_the_page_counts_lines(tmp_path: Path) -> None:
    page, picture = write_reading_map(ROOT, tmp_path)
    text = page.read_text(encoding="utf-8")
    lines = len((ROOT / "wsislib/matching.py").read_text(encoding="utf-8").splitlines())
    assert "| `wsislib/matching.py` | " in text and f" | {lines} |" in text
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    (tmp_path / "book").mkdir()
    (tmp_path / "wsislib").mkdir()
    (tmp_path / "wsislib" / "matching.py").write_text("\n")
    (tmp_path / "book" / "reading_map.yml").write_text(
        "evenings: [{title: a, about: b, change: c, files: [[wsislib/gone.py, x, y]]}]"
    )
    with pytest.raises(ValueError, match="reading_map.yml: there is no file wsislib/gone.py"):
        reading_page(tmp_path)


def test_rooms_and_layers_of_a_small_package(tmp_path: Path) -> None:
    for name, text in {
        "__init__.py": "",
        "low.py": "",
        "mid/__init__.py": "",
        "mid/one.py": "def f():\n    from pack.low import x\n",
        "top/__init__.py": "",
        "top/one.py": "import pack.low\nfrom pack.mid.one import f\n",
    }.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    arrows = room_arrows({"pack": tmp_path})
    assert arrows["pack.mid"] == {"pack.low"}
    assert arrows["pack.top"] == {"pack.low", "pack.mid"}
    assert reduced(arrows)["pack.top"] == {"pack.mid"}
    assert layers(arrows) == [["pack.low"], ["pack.mid"], ["pack.top"]]
    with pytest.raises(ValueError, match="in a circle|import each other"):
        layers({"a": {"b"}, "b": {"a"}})
