"""Reports read well for people and for machines."""

import json

import pytest

from wsislib.data.photographs.validate_report import (
    SHOWN_PER_CODE,
    Location,
    Report,
    require_trainable,
)

PLACE = Location("data/a.json", 7, 5)
PROBLEMS = [
    Location("data/a.json", 7).warning("image-unlabelled", "has no annotation", "leave it out"),
    PLACE.error("box-empty", "box is empty", "draw it again"),
    Location("data/a.json").error("missing-key", "has no 'images'", "add 'images'"),
    Location("data/a.json", 3, 9).error("box-empty", "box is empty", "draw it again"),
]


def test_text_is_grouped_sorted_and_says_how_to_mend() -> None:
    text = Report.of("data/a.json", PROBLEMS, images=4, annotations=1).text()
    assert text.splitlines() == [
        "data/a.json: 4 images, 1 annotation, 3 errors, 1 warning",
        "",
        "Errors",
        "  box-empty (2)",
        "    data/a.json, image 3, annotation 9: box is empty",
        "      mend: draw it again",
        "    data/a.json, image 7, annotation 5: box is empty",
        "      mend: draw it again",
        "  missing-key (1)",
        "    data/a.json: has no 'images'",
        "      mend: add 'images'",
        "",
        "Warnings",
        "  image-unlabelled (1)",
        "    data/a.json, image 7: has no annotation",
        "      mend: leave it out",
        "",
        "Training may not start before the errors are mended. "
        "3 errors (2 box-empty, 1 missing-key), 1 warning (1 image-unlabelled).",
    ]


def test_a_summary_shows_each_kind_once_and_ends_with_the_counts() -> None:
    calm = Report.of("f", [PROBLEMS[0], PROBLEMS[0], PLACE.warning("box-thin", "is thin", "draw")])
    assert calm.summary().splitlines() == [
        "warning: data/a.json, image 7, annotation 5: is thin; draw",
        "warning: data/a.json, image 7: has no annotation; leave it out",
        "f: 0 errors, 3 warnings (1 box-thin, 2 image-unlabelled); `wsis data check` lists them "
        "all",
    ]
    assert Report.of("f", []).summary() == "f: 0 errors, 0 warnings"


def test_json_holds_every_problem() -> None:
    many = [Location("f", i + 1).error("box-empty", "is empty", "draw") for i in range(200)]
    report = Report.of("f", [*many, PROBLEMS[0]], images=200)
    content = json.loads(report.to_json())
    assert (content["errors"], content["warnings"], content["may_train"]) == (200, 1, False)
    assert [p["image_id"] for p in content["problems"]] == [*range(1, 201), 7]
    assert content["problems"][0] == {
        "severity": "error",
        "file": "f",
        "image_id": 1,
        "annotation_id": None,
        "code": "box-empty",
        "message": "is empty",
        "remedy": "draw",
    }
    text = report.text()
    assert text.count("is empty") == SHOWN_PER_CODE
    assert f"and {200 - SHOWN_PER_CODE} more; `wsis data check --json` lists all" in text


def test_warnings_do_not_stop_training_and_errors_do() -> None:
    calm = Report.of("f", PROBLEMS[:1])
    assert calm.may_train
    assert calm.text().endswith("Training may start. 0 errors, 1 warning (1 image-unlabelled).")
    require_trainable(calm)
    stern = Report.of("f", PROBLEMS)
    with pytest.raises(ValueError) as caught:
        require_trainable(stern)
    assert str(caught.value) == stern.text()
