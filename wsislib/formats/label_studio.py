"""Label Studio's JSON and JSON-MIN: read. `label_studio_tasks.py` writes.

Its documentation, "Label Studio JSON format of annotated tasks": coordinates in percent of
`original_width` and `original_height`; `rotation` in degrees clockwise about a box's upper left
corner; brushes as in `brush.py`; choices are image-level tags.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from wsislib.data.rle import encode_mask
from wsislib.formats.brush import decode_brush
from wsislib.formats.picture_names import PictureFinder
from wsislib.formats.record import ConversionReport, LabelledPicture, Labels, Region
from wsislib.formats.shapes import (
    DIGITS,
    box_fields,
    ellipse_ring,
    require_area,
    ring_fields,
    turned,
    upright_box,
)
from wsislib.formats.untrusted import (
    list_of,
    mapping_of,
    name_of,
    number,
    parse_json,
    point_list,
    whole_number,
)

_IMAGE_KEYS = ("image", "img", "picture", "photo", "url")


def read_label_studio(source: Path, finder: PictureFinder, report: ConversionReport) -> Labels:
    """The labels of an exported JSON file."""
    content = parse_json(source)
    tasks = list_of([content] if isinstance(content, dict) else content, str(source))
    pictures = []
    for place, task in enumerate(tasks, start=1):
        with report.entry(f"{source}: task {place}"):
            picture = _picture(mapping_of(task, "task"), f"task {task.get('id', place)}", report)
            pictures += [picture] if picture is not None else []
    return Labels(pictures)


def _picture(task: dict[str, Any], where: str, report: ConversionReport) -> LabelledPicture | None:
    data = mapping_of(task.get("data", task), "data")
    known = (data[key] for key in _IMAGE_KEYS if isinstance(data.get(key), str))
    text = next(known, next((v for v in data.values() if isinstance(v, str) and "." in v), None))
    picture = LabelledPicture(name_of(text, "image"))
    if "data" not in task:
        results = list(_minimal_results(task))
    else:
        found = _chosen_results(task, f"{where} ({picture.name})", report)
        if found is None:
            return None
        results = found
    named: dict[Any, list[Any]] = {}  # region id -> names, where they are results of their own
    for result in results:
        names = _names(mapping_of(result, "result"))
        if names and isinstance(result.get("id"), str):
            named.setdefault(result["id"], names)
    seen: set[Any] = set()
    for place, result in enumerate(results, start=1):
        spot = f"{picture.name}: result {place}"
        with report.entry(spot):
            key = result.get("id") if isinstance(result.get("id"), str) else None
            names = _names(result) or named.get(key, [])
            if key is not None and key in seen:
                continue  # the same region once more, beside its labels
            regions = list(_regions(result, names, picture, report, spot))
            picture.regions += regions
            if regions and key is not None:
                seen.add(key)
    return picture


def _chosen_results(task: dict[str, Any], where: str, report: ConversionReport) -> list | None:
    """Results of the annotation that counts; None where nobody has labelled the task."""
    given = list_of(task.get("annotations", task.get("completions", [])), "annotations")
    done = [a for a in given if isinstance(a, dict) and not a.get("was_cancelled")]
    if not done:
        predicted = list_of(task.get("predictions", []), "predictions")
        if "annotations" in task or not predicted:
            report.lose("task that nobody has labelled", where)
            return None
        report.change("prediction, read as a label", where)
        done = predicted[-1:]
    if len(done) > 1:
        report.lose("annotations of a task beside the one that counts", f"{where}: {len(done) - 1}")
    truth = next((one for one in done if mapping_of(one, "it").get("ground_truth")), done[-1])
    return list_of(mapping_of(truth, "annotation").get("result", []), "result")


def _minimal_results(task: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The results of a task of JSON-MIN, as those of a whole export."""
    for key, values in task.items():
        if isinstance(values, list) and values and isinstance(values[0], dict):
            for value in values:
                size = {k: value.get(k) for k in ("original_width", "original_height")}
                yield {"value": value, **size}
        elif isinstance(values, dict) and "choices" in values:
            yield {"value": values}
        elif isinstance(values, str) and key == "choice":
            yield {"value": {"choices": [values]}}


def _names(result: dict[str, Any]) -> list[Any]:
    value = mapping_of(result.get("value"), "value")
    lists = (v for k, v in value.items() if k.endswith("labels") and isinstance(v, list))
    return next(lists, [])


def _regions(
    result: dict[str, Any],
    names: list[Any],
    picture: LabelledPicture,
    report: ConversionReport,
    where: str,
) -> Iterator[Region]:
    value = result["value"]
    if isinstance(value.get("choices"), list):
        for choice in value["choices"]:
            yield Region(name_of(choice, "choice"))
        return
    form = _form_of(value)
    if form is None:
        if result.get("type") != "relation":
            report.lose(f"{str(result.get('type', 'result')):.40} of Label Studio", where)
        return
    width = whole_number(result.get("original_width"), "original_width")
    height = whole_number(result.get("original_height"), "original_height")
    require_area(width, height)
    if (picture.width, picture.height) not in ((None, None), (width, height)):
        raise ValueError(f"made on {width} x {height} pixels, others of the picture on another")
    picture.width, picture.height = width, height
    if not names:
        raise ValueError("a region without a label")
    if len(names) > 1:
        report.lose("labels of one region after its first", f"{where}: {names[1:]}")
    if result.get("image_rotation"):
        report.change("picture turned in the tool, labels read on the unturned one", where)
    fields = _fields(form, value, width, height, report, where)
    score = result.get("score", value.get("score"))
    yield Region(
        name_of(names[0], "label"), fields, None if score is None else number(score, "score")
    )


def _form_of(value: Mapping[str, Any]) -> str | None:
    keys = {
        "rle": "brush",
        "points": "polygon",
        "radiusX": "ellipse",
        "height": "box",
        "x": "point",
    }
    return next((form for key, form in keys.items() if key in value), None)


def _fields(
    form: str, value: dict[str, Any], width: int, height: int, report: ConversionReport, where: str
) -> dict[str, Any]:
    def pixels(x: Any, y: Any) -> tuple[float, float]:
        values = number(x, "x") * width / 100, number(y, "y") * height / 100
        return round(values[0], DIGITS), round(values[1], DIGITS)

    if form == "brush":
        mask = decode_brush(value["rle"], width, height)
        return {"segmentation": encode_mask(mask)}
    if form == "polygon":
        return ring_fields([pixels(x, y) for x, y in point_list(value["points"], "points")])
    corner = pixels(value.get("x"), value.get("y"))
    if form == "point":
        return {"point": list(corner)}
    if form == "ellipse":
        report.change("ellipse, read as a polygon", where)
        radius = pixels(value.get("radiusX"), value.get("radiusY"))
        degrees = number(value.get("rotation") or 0, "rotation")
        return ring_fields(ellipse_ring(corner, *radius, degrees))
    across, down = pixels(value.get("width"), value.get("height"))
    (x, y), degrees = corner, number(value.get("rotation") or 0, "rotation") % 360
    if not degrees:
        return box_fields(x, y, round(x + across, DIGITS), round(y + down, DIGITS))
    report.change("rotated box, read as the upright box around it", where)
    corners = [(x, y), (x + across, y), (x + across, y + down), (x, y + down)]
    return upright_box(turned(corners, corner, degrees))
