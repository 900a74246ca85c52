"""Related work, background pages, glossary, how to cite: sources, drawings, citations, code."""

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
BACKGROUND = sorted((BOOK / "background").glob("*.md"))
DRAWINGS = sorted((BOOK / "images").glob("*.svg"))
COLUMN = 368  # pixels of the text column on a phone of 400
LEAST_LETTER = 9.5  # pixels of the smallest letters there
FIGURE = re.compile(r"```\{figure\} +(\S+)\n((?::[^\n]*\n)+)\n(.+?)```", re.DOTALL)
BIB_ENTRY = re.compile(r"^@(\w+)\{(\w+),\n(.*?)^\}", re.MULTILINE | re.DOTALL)
TERMS = (
    "ground truth", "weak supervision", "partially supervised", "image-level labels", "tags",
    "pseudo-label", "bipartite matching", "Hungarian matching", "class activation map",
    "upper bound", "baseline", "oracle", "ablation", "distillation", "fine-tuning", "frozen", "AP",
    "AP50", "AR", "IoU", "Dice", "RLE", "crowd", "stuff", "prompt", "prompt embedding",
    "candidate masks", "self-enhancement", "label budget", "stop-gradient",
    "weight transfer function", "class-agnostic", "class-specific", "heterogeneous labels",
    "constant predictor", "cross-class suppression", "top-1 accuracy", "recall", "precision",
)  # fmt: skip


def prose() -> Iterator[tuple[Path, str]]:
    """Every page and the markdown of every notebook; what is generated or built is left out."""
    for file in sorted([*BOOK.rglob("*.md"), *BOOK.rglob("*.ipynb")]):
        if {"_build", ".ipynb_checkpoints"} & set(file.parts):
            continue
        if file.suffix == ".md":
            yield file, file.read_text(encoding="utf-8")
        else:
            cells = nbformat.read(file, as_version=4).cells
            yield file, "\n\n".join(c.source for c in cells if c.cell_type == "markdown")


@functools.cache
def bibliography() -> dict[str, str]:
    entries = BIB_ENTRY.findall((BOOK / "references.bib").read_text(encoding="utf-8"))
    keys = [key for _, key, _ in entries]
    assert len(set(keys)) == len(keys)
    return {key: fields for _, key, fields in entries}


def test_every_citation_is_in_the_bibliography() -> None:
    known = bibliography()
    for file, text in prose():
        for keys in re.findall(r"\{cite:\w+\}`([^`]+)`", text):
            for key in keys.split(","):
                assert key.strip() in known, f"{file.name} cites {key}"


@pytest.mark.parametrize("key", bibliography())
def test_an_entry_says_who_what_where_and_when(key: str) -> None:
    fields = set(re.findall(r"^ *(\w+) *=", bibliography()[key], re.MULTILINE))
    assert {"author", "title", "year"} <= fields
    assert {"booktitle", "journal", "howpublished"} & fields
    year = re.findall(r"year *= \{(\d{4})\}", bibliography()[key])
    assert year[0] in key, "keys carry the year"


# Related work: each number is a line of the papers' data, with its method, data and backbone.


@functools.cache
def related_work() -> str:
    return (BOOK / "related_work.md").read_text(encoding="utf-8")


@functools.cache
def entries() -> dict[str, str]:
    """Name of a work -> its paragraph, on one line."""
    found = re.findall(
        r"^\*\*([^*]+)\*\* (\{cite.+?)\n\n", related_work(), re.MULTILINE | re.DOTALL
    )
    return {name: f"{name} {text}".replace("\n", " ") for name, text in found}


@functools.cache
def number_sources() -> dict[str, str]:
    """Tag -> the source that it stands for."""
    return dict(re.findall(r"^\| ([A-Z0-9]{2,3}) \| (.+) \|$", related_work(), re.MULTILINE))


@functools.cache
def published() -> pd.DataFrame:
    """All published numbers as text: method, backbone, dataset, split, metric, value, source."""
    peers = pd.read_csv(ROOT / "papers" / "peers.csv", dtype=str, keep_default_na=False)
    part1, wish = (
        pd.read_csv(ROOT / "papers" / p / "published.csv", dtype=str, keep_default_na=False)
        for p in ("learning-to-segment-every-thing", "wish")
    )
    part1["dataset"], wish["dataset"] = "COCO", "VOC 2012"
    names = {
        "class-agnostic": "Mask^X R-CNN",
        "grabcut-trained": "GrabCut",
        "maskx": "Mask^X R-CNN",
    }
    part1["method"], wish["method"] = part1["row"].map(names).fillna(part1["row"]), "WISH"
    part1["source"], wish["source"] = (
        "I1: picture of the paper's Table 2",
        "S2: a public summary of the paper",
    )
    part1["split"], wish["split"] = part1["direction"], "val"
    columns = ["method", "backbone", "dataset", "split", "metric", "value", "source"]
    return pd.concat([frame[columns] for frame in (peers, part1, wish)], ignore_index=True)


def printed(text: str) -> list[str]:
    """The numbers of a text with a decimal point."""
    return re.findall(r"(?<![\d.])\d+\.\d+(?![\d.])", text)


def supports(row: pd.Series, text: str, tags: set[str]) -> bool:
    """Whether a published number's method, data, metric, backbone and source are in the text."""
    metric = {"AP-gain": "points of AP", "box-AP": "box AP"}.get(row["metric"], row["metric"])
    method = re.split(r"[, (]", row["method"].removesuffix("-T"))[0].removesuffix("-T")
    sources = number_sources()
    return (
        method in text
        and row["dataset"].split()[0] in text
        and re.search(rf"\b{re.escape(metric)}\b", text) is not None
        and (not row["backbone"] or row["backbone"].split()[0] in text)
        and any(sources[tag] in row["source"] for tag in tags)
    )


@pytest.mark.parametrize("name", entries())
def test_a_number_stands_with_its_method_data_backbone_and_source(name: str) -> None:
    text, numbers = entries()[name], published()
    tags = set(re.findall(r"\[([A-Z0-9]{2,3})\]", text))
    for value in printed(text):
        rows = numbers[numbers["value"] == value]
        assert len(rows), f"{value} is in no file of papers/"
        assert any(supports(row, text, tags) for _, row in rows.iterrows()), f"{name}: {value}"
    if not printed(text) and "94 to 98" not in text:
        assert "hold no number" in text or "no number here" in text


def test_no_other_number_is_on_the_page() -> None:
    text = related_work().split("```{figure}")[0]
    thresholds = {"0.50", "0.95", "0.5"}
    assert set(printed(text)) <= thresholds
    rest = related_work().split("## The upper bound")[1].split("(number-sources)")[0]
    assert set(printed(rest)) <= set(published()["value"])


@pytest.mark.parametrize("name", entries())
def test_a_work_has_three_sentences(name: str) -> None:
    text = re.sub(r"et al\.", "et al", entries()[name])
    sentences = re.split(r"(?<=[.]) +(?=[A-Z’0-9])", text.strip())
    assert len(sentences) == 3, sentences


def test_every_source_is_explained_and_used() -> None:
    used = set(re.findall(r"\[([A-Z0-9]{2,3})\]", related_work()))
    assert used == set(number_sources())


def test_the_timeline_and_the_page_have_the_same_works() -> None:
    root = ElementTree.parse(BOOK / "images" / "related_work_timeline.svg").getroot()
    texts = root.iter("{http://www.w3.org/2000/svg}text")
    drawn = {
        "".join(t.itertext()).replace("\u200b", "") for t in texts if t.get("font-size") == "15"
    }
    drawn = {name.replace("MaskX", "Mask^X") for name in drawn if not name.isdigit()}
    assert drawn == set(entries()) - {"GrabCut"}  # older than the axis


# Drawings.


@pytest.mark.parametrize("file", DRAWINGS, ids=lambda file: file.stem)
def test_a_drawing_is_described_and_stands_on_white(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    assert root.get("role") == "img" and root.get("viewBox")
    title, desc = (
        root.findtext(f"{{http://www.w3.org/2000/svg}}{tag}") for tag in ("title", "desc")
    )
    assert title and desc and len(desc) > 60
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")  # loads nothing
    ground = next(root.iter("{http://www.w3.org/2000/svg}rect"))  # white, as pages may be dark
    assert [ground.get("width"), ground.get("height")] == root.get("viewBox", "").split()[2:]


def figures() -> list[tuple[str, Path, str, str]]:
    """(page, drawing, its options, its caption) of every figure directive."""
    return [
        (file.name, (file.parent / target).resolve(), options, caption)
        for file, text in prose()
        for target, options, caption in FIGURE.findall(text)
        if target.endswith(".svg")
    ]


@pytest.mark.parametrize(("page", "file", "options", "caption"), figures())
def test_a_figure_has_alt_text_a_name_and_a_caption(
    page: str, file: Path, options: str, caption: str
) -> None:
    assert file.is_file(), f"{page}: {file}"
    given = dict(re.findall(r"^:(\w+): (.+)$", options, re.MULTILINE))
    assert len(given["alt"]) > 60 and given["name"].startswith("fig-")
    assert len(caption.split()) > 10


@pytest.mark.parametrize("file", sorted({f for _, f, _, _ in figures()}), ids=lambda f: f.stem)
def test_letters_can_be_read_on_a_phone(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    width = float(re.findall(r'viewBox="0 0 (\d+)', text)[0])
    sizes = [float(s) for s in re.findall(r'font-size(?:="|: )([\d.]+)', text)]
    assert min(sizes) * min(1, COLUMN / width) >= LEAST_LETTER


# Background pages and glossary.


@pytest.mark.parametrize("file", BACKGROUND, ids=lambda file: file.stem)
def test_a_background_page_teaches(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    for part in ("**Prerequisites:**", "**Afterwards you can**", "**Time:**", "## In this library"):
        assert part in text
    assert "## Exercise" in text and ":class: dropdown" in text and "$$" in text


@pytest.mark.parametrize("file", BACKGROUND, ids=lambda file: file.stem)
def test_the_code_of_a_solution_runs(file: Path) -> None:
    blocks = re.findall(r"~~~python\n(.*?)~~~", file.read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, str(file), "exec"), {})


@functools.cache
def glossary_terms() -> list[str]:
    text = (BOOK / "glossary.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```\{glossary\}\n(.*?)```", text, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line and line[0] != " "]


def test_the_glossary_has_the_terms_of_the_field_once() -> None:
    terms = glossary_terms()
    assert len({term.lower() for term in terms}) == len(terms)
    assert set(TERMS) <= set(terms)


def test_a_reference_to_a_term_leads_there() -> None:
    for file, text in prose():
        for term in re.findall(r"\{term\}`(?:[^`<]*<)?([^`>]+)>?`", text):
            assert term in glossary_terms(), f"{file.name}: {term}"


# How to cite.


def test_the_citation_is_that_of_the_repository() -> None:
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    page = (BOOK / "cite.md").read_text(encoding="utf-8")
    (book, hu, wish) = BIB_ENTRY.findall(page)
    fields = dict(re.findall(r"^ *(\w+) *= \{+(.+?)\}+,?$", book[2], re.MULTILINE))
    assert fields == {
        "author": " and ".join(author["name"] for author in cff["authors"]),
        "title": cff["title"],
        "version": str(cff["version"]),
        "license": cff["license"],
    }
    assert book[0] == cff["type"] and cff["message"] in page
    for entry, paper in zip((hu, wish), cff["references"], strict=True):
        fields = dict(re.findall(r"^ *(\w+) *= \{(.+?)\},?$", entry[2], re.MULTILINE))
        names = [f"{a['family-names']}, {a['given-names']}" for a in paper["authors"]]
        assert fields == {
            "author": " and ".join(names),
            "title": paper["title"],
            "booktitle": paper["collection-title"],
            "year": str(paper["year"]),
        }
