import importlib.metadata
import subprocess
from pathlib import Path

from wsisbook.reading import notebook_provenance
from wsisbook.runs.environment import code_version
from wsisbook.runs.paths import repository_root
from wsisbook.runs.spec import load_study


def test_a_page_says_where_it_comes_from() -> None:
    shown = notebook_provenance(scale="smoke", seed=3).facts.data["this page"]
    assert list(shown.index[:3]) == ["scale", "seed", "commit"]
    assert shown["scale"] == "smoke" and shown["seed"] == "3"
    assert f"torch {importlib.metadata.version('torch')}" in shown["versions"]
    commit = code_version(repository_root(), ())["commit"]
    assert commit is None or shown["commit"].startswith(commit[:10])
    assert {"device", "machine", "executed", "time from first import"} <= set(shown.index)


def test_a_change_of_any_study_file_is_seen(tmp_path: Path) -> None:
    """Tables stand in included files too: a run made with a changed one is no clean run."""
    book = tmp_path / "book"
    book.mkdir()
    (book / "study.yml").write_text(
        "include: [more.yml]\nscales: {lab: {seeds: [0]}}\ntables: {}\n"
    )
    more = book / "more.yml"
    more.write_text("tables: {}\n")
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "first")):
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", "-C", str(tmp_path), *identity, *words], check=True)
    study = load_study(book / "study.yml")
    assert [file.name for file in study.files] == ["study.yml", "more.yml"]
    assert code_version(study.root, study.files)["dirty"] is False
    more.write_text("tables: {} # changed\n")
    assert code_version(study.root, study.files)["dirty"] is True


def test_facts_cannot_smuggle_markup_into_the_page() -> None:
    page = notebook_provenance(scale="<script>alert(1)</script>")._repr_html_()
    assert "<script>alert" not in page
