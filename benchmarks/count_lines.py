"""Lines and files of both packages, by room; what the rules of the house are held against.

python benchmarks/count_lines.py
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"wsislib": ROOT / "wsislib", "wsisbook": ROOT / "book" / "wsisbook"}
CORE = ("wsislib.models", "wsislib.losses", "wsislib.matching")


def lines_by_module() -> dict[str, int]:
    """Dotted module name -> lines, of both packages."""
    counted = {}
    for name, package in PACKAGES.items():
        for file in package.rglob("*.py"):
            parts = (name, *file.relative_to(package).with_suffix("").parts)
            module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            counted[module] = len(file.read_text(encoding="utf-8").splitlines())
    return counted


def main() -> None:
    counted = lines_by_module()
    files: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    for package in PACKAGES.values():
        for file in package.rglob("*.py"):
            room = file.parent.relative_to(ROOT).as_posix()
            files[room] += 1
            lines[room] += len(file.read_text(encoding="utf-8").splitlines())
    print(f"{'folder':<32}{'files':>6}{'lines':>8}")
    for room in sorted(files):
        print(f"{room:<32}{files[room]:>6}{lines[room]:>8}")
    for name in PACKAGES:
        total = sum(n for module, n in counted.items() if module.split(".")[0] == name)
        print(f"{name:<32}{'':>6}{total:>8}")
    core = sum(n for module, n in counted.items() if module.startswith(CORE))
    print(f"{'core: models, losses, matching':<32}{'':>6}{core:>8}")
    print(f"{'both packages':<32}{'':>6}{sum(counted.values()):>8}")


if __name__ == "__main__":
    main()
