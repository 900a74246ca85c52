import importlib.metadata

from wsislib.study.environment import code_version
from wsislib.study.origin import notebook_provenance
from wsislib.study.paths import repository_root


def test_a_page_says_where_it_comes_from() -> None:
    shown = notebook_provenance(scale="smoke", seed=3).data["this page"]
    assert list(shown.index[:3]) == ["scale", "seed", "commit"]
    assert shown["scale"] == "smoke" and shown["seed"] == "3"
    assert f"torch {importlib.metadata.version('torch')}" in shown["versions"]
    commit = code_version(repository_root())["commit"]
    assert commit is None or shown["commit"].startswith(commit[:10])
    assert {"device", "machine", "executed", "time from first import"} <= set(shown.index)


def test_facts_cannot_smuggle_markup_into_the_page() -> None:
    page = notebook_provenance(scale="<script>alert(1)</script>").to_html()
    assert "<script>alert" not in page
