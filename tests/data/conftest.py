"""Generated miniatures of each format, and the real photographs where they are there."""

import os
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def coco_mini() -> Path:
    """The folder of 211 real photographs, which stays outside the repository."""
    default = TESTS.parents[1] / "shared" / "data" / "coco-mini"
    folder = Path(os.environ.get("WSIS_COCO_MINI", default))
    if not (folder / "train.json").is_file():
        pytest.skip("need the photographs of coco-mini (name their folder in WSIS_COCO_MINI)")
    return folder


@pytest.fixture
def genome_root(tmp_path: Path) -> Path:
    """The miniature of Visual Genome."""
    from tests.miniatures import visual_genome

    return visual_genome.write(tmp_path)


@pytest.fixture
def snapshot():
    """A function that tells a folder's files with their bytes, to see that nothing is written."""

    def files(folder: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    return files
