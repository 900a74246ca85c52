"""Tables of photographs on pages of any scale, comparisons, pictures with and without data."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure

from wsisbook.photographs import photo_pictures
from wsisbook.photographs.photo_pictures import write_truth
from wsisbook.photographs.photo_tables import Note, PhotoTables
from wsisbook.publish.notebook_inputs import inputs_digest, used_tables
from wsisbook.reading import RowResults, open_study
from wsisbook.runs.run import execute
from wsisbook.runs.spec import load_study
from wsisbook.runs.store import open_store
from wsislib.atomic import read_json, write_json
from wsislib.data.photographs.coco import CocoDataset
from wsislib.data.rle import encode_mask

TABLES = """
  pictured:
    title: The same of photographs
    about: Pets.
    experiment: fake_experiment_for_tests:FAKE
    notebook: part/tiny
    columns: {AP_six: {metric: segm.B.AP, title: AP of six}, needed: {metric: needed, title: n}}
    scales: {photo: {steps: 10}}
    rows:
      low: {change: {value: 10.0}}
      high: {change: {value: 5.0}}
      only-here: {change: {value: 7.0}}
  elsewhere:
    title: Of another page
    experiment: fake_experiment_for_tests:FAKE
    notebook: part/other
    columns: {AP: {metric: segm.B.AP, title: AP}}
    scales: {photo: {steps: 10}}
    rows: {low: {change: {value: 1.0}}}
"""
CLAIMS = """
- id: high-above-low
  kind: ordering
  statement: High is above low.
  source: S1
  published: []
  check: {type: greater, table: tiny, metric: AP_B, chain: [low, high]}
  photo: {table: pictured, metric: AP_six}
"""
PAGE = "part/tiny"
SAID = "Found with a score of 0.5 or more, seed 0."


@pytest.fixture
def photo_study(study_root: Path, change_study: Callable) -> Path:
    """The tiny study with two tables of photographs and a claim about one."""
    change_study("  smoke: {seeds: [0]}\n", "  smoke: {seeds: [0]}\n  photo: {seeds: [0, 1, 2]}\n")
    change_study("tables:\n", "tables:" + TABLES)
    (study_root / "papers/a-paper/claims.yml").write_text(CLAIMS, encoding="utf-8")
    return study_root


def page(name: str = PAGE, scale: str = "lab") -> PhotoTables:
    return open_study(scale).photographs(name)


def test_a_page_shows_its_own_tables_at_any_scale(photo_study: Path) -> None:
    for scale in ("lab", "smoke"):
        shown = page(scale=scale)
        assert shown.names == ("pictured",)
        html = shown._repr_html_()
        assert "None of its 9 runs is committed yet." in html and "not\u00a0run" in html
        assert "Pets." in html and "Of another page" not in html
    execute("pictured", "low", 0, "photo")
    execute("pictured", "low", 1, "photo")
    execute("pictured", "high", 0, "photo")
    html = page(scale="smoke")._repr_html_()
    assert "3 of 9 runs are committed, 0 to 2 a row." in html and "photo scale" in html
    assert "Declared metric: AP of six." in repr(page())


def test_a_page_without_such_a_table_says_so(photo_study: Path) -> None:
    shown = page("part/none")
    sentence = "The study has no table on photographs for this page yet."
    assert shown._repr_html_() == f"<p>{sentence}</p>" and repr(shown) == sentence
    assert shown.comparison() is None and shown.pictures() is None


def test_nothing_is_said_before_there_are_runs(photo_study: Path) -> None:
    assert "no run on photographs is committed yet" in repr(page().comparison())
    assert repr(page().pictures()) == "No run to draw from is committed yet."
    execute("pictured", "low", 0, "photo")
    execute("pictured", "high", 0, "photo")
    compared = page().comparison()
    assert compared is not None
    text = compared._repr_markdown_()
    assert "High is above low. Lab: **not run**; photographs: **no verdict (1 seed)**." in text
    assert "fewer than two rows have 3 seeds in both" in text


def test_what_differs_is_computed(photo_study: Path) -> None:
    for seed in (0, 1, 2):
        for row in ("low", "high", "only-here"):
            execute("pictured", row, seed, "photo")
            if row != "only-here":
                execute("tiny", row, seed, "lab")
    text = repr(page().comparison())
    assert "Lab: **reproduced**; photographs: **not reproduced**." in text
    assert "of the pairs of rows, 0 stand alike, 1 the other way round; 0 differ" in text
    assert (
        "*high* is above *low* at the scale lab (20.1 and 10.1) and below it on photographs "
        "(5.1 and 10.1)." in text
    )


def test_new_runs_on_photographs_make_a_page_new(photo_study: Path) -> None:
    def digest(code: str) -> str:
        file = photo_study / "book/a.ipynb"
        write_json(file, {"cells": [{"cell_type": "code", "source": [code]}]})
        return inputs_digest(load_study(), open_store("smoke"), "smoke", file, {})

    with_them, without = "study.photographs('part/tiny')  # tiny", "study.table('tiny')"
    before = digest(with_them), digest(without)
    execute("pictured", "low", 0, "photo")
    assert digest(with_them) != before[0] and digest(without) == before[1]
    assert digest("study.key_results('part/tiny')  # tiny") != digest("study.key_results  # tiny")


def test_key_results_rest_on_the_tables_of_their_answers(photo_study: Path) -> None:
    file = photo_study / "book/part/tiny.ipynb"

    def used(code: str) -> list[str]:
        write_json(file, {"cells": [{"cell_type": "code", "source": [code]}]})
        return used_tables(load_study(), file)

    question = "- {anchor: a, part: P, question: Q, page: part/tiny, answers: [{kind: values,"
    text = f"{question} table: stage-one, column: AP, rows: [detector]}}]}}\n"
    (photo_study / "book/questions.yml").write_text(text, encoding="utf-8")
    assert used("study.table('elsewhere')") == ["elsewhere"]
    named = used("study.table('elsewhere'); study.key_results('part/tiny')")
    assert sorted(named) == ["elsewhere", "pictured", "stage-one", "tiny"]


class Config:
    """What a picture asks of a run's settings."""

    data, frequent = "coco", ("dog",)
    val_annotations, val_images = "pets/val.json", "pets/images"


def resolved(study: object, key: object) -> SimpleNamespace:
    return SimpleNamespace(config=Config())


def box_mask(x0: int, y0: int, x1: int, y1: int) -> dict:
    mask = np.zeros((30, 40), dtype=bool)
    mask[y0:y1, x0:x1] = True
    return encode_mask(mask)


@pytest.fixture
def pictured(
    photo_study: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The data folder that two runs were judged by; they found things in two images."""
    from PIL import Image

    data = tmp_path_factory.mktemp("data")
    (data / "pets/images").mkdir(parents=True)
    images, annotations = [], []
    for image_id in (1, 2, 3):
        Image.new("RGB", (40, 30), (90, 120, 60)).save(data / f"pets/images/{image_id}.png")
        name = f"{image_id}.png"
        images.append({"id": image_id, "file_name": name, "width": 40, "height": 30})
        rle = box_mask(5, 5, 25, 25)
        annotation = {"id": image_id, "image_id": image_id, "category_id": 1, "iscrowd": 0}
        annotations.append({**annotation, "segmentation": rle, "bbox": [5, 5, 20, 20]})
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    document = {"images": images, "annotations": annotations, "categories": categories}
    write_json(data / "pets/val.json", document)
    fingerprint = CocoDataset(data / "pets/val.json", data / "pets/images").fingerprint()
    for row in ("low", "high"):
        execute("pictured", row, 0, "photo")
        folder = photo_study / f"results/photo/runs/pictured/{row}/seed-0"
        found = {"category_id": 2, "segmentation": box_mask(6, 4, 26, 24), "bbox": [6, 4, 20, 20]}
        write_json(
            folder / "examples.json", [{"image_id": i, "score": 0.9, **found} for i in (1, 2)]
        )
        facts = read_json(folder / "environment.json")
        write_json(folder / "environment.json", {**facts, "data": {"val": fingerprint}})
    monkeypatch.setattr(RowResults, "config", Config())
    monkeypatch.setenv("WSIS_DATA", str(data))
    return data


def titles(figure: Figure | Note | None) -> list[str]:
    assert isinstance(figure, Figure)
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


def note(figure: Figure | Note | None) -> str:
    assert isinstance(figure, Figure)
    return figure.get_supxlabel()


def test_pictures_lie_over_photographs_that_are_here(pictured: Path) -> None:
    figure = page(scale="smoke").pictures()
    assert titles(figure) == ["ground truth", "low", "high"] and note(figure) == SAID
    assert isinstance(figure, Figure) and len(figure.axes) == 2 * 3, "two images have examples"
    names = [text.get_text() for text in figure.axes[0].texts + figure.axes[1].texts]
    assert names == ["cat", "dog 0.90"]
    ground = figure.axes[0].images[0].get_array()
    assert ground is not None and ground[0, 0].tolist() == pytest.approx(
        [90 / 255, 120 / 255, 60 / 255]
    )


def test_pictures_do_without_the_data_folder(
    pictured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSIS_DATA", str(pictured / "nothing"))
    figure = page().pictures(rows=["high"], images=[1])
    assert titles(figure) == ["high"]
    assert note(figure).startswith(f"{SAID} Without photographs and ground truth:")
    monkeypatch.setattr(photo_pictures, "resolve", resolved)
    with pytest.raises(ValueError, match="lacks the photographs that the run pictured/low/seed-0"):
        write_truth(load_study(), open_store("photo"))


def test_ground_truth_may_lie_beside_the_runs(
    pictured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo_pictures, "resolve", resolved)
    file = write_truth(load_study(), open_store("photo"))
    assert file.parent.name == "photo" and len(read_json(file)["images"]) == 2
    monkeypatch.setenv("WSIS_DATA", str(pictured / "nothing"))
    figure = page().pictures()
    assert titles(figure) == ["ground truth", "low", "high"]
    assert note(figure).startswith(f"{SAID} Without photographs:")
    write_json(file, {**read_json(file), "fingerprint": "of other photographs"})
    assert titles(page().pictures()) == ["low", "high"]


def test_other_photographs_are_not_drawn(pictured: Path) -> None:
    """Numbers of image files are the same in another part of VOC; the photographs are not."""
    document = read_json(pictured / "pets/val.json")
    write_json(pictured / "pets/val.json", {**document, "images": document["images"][:2],
               "annotations": document["annotations"][:2]})  # fmt: skip
    assert "Without photographs and ground truth:" in note(page().pictures())
