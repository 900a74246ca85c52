"""Measured labelling times, and prices from them."""

from __future__ import annotations

from dataclasses import fields

import pandas as pd

from wsislib.annotate.label_file import LabelFile
from wsislib.data.photographs.coco_labels import annotation_kind
from wsislib.data.sample import LabelKind
from wsislib.labels.prices import Prices


def measured_seconds(labels: LabelFile) -> pd.DataFrame:
    """Seconds that each kind of label took: `images`, `entries`, `seconds`, `seconds_an_entry`.

    One row for each kind that was measured; `seconds` are of an image. Only finished images with
    one kind of label and a measured time count, with all time spent on them: looking and
    correcting belong to the price. Images with labels that a model proposed do not count.
    """
    rows: dict[LabelKind, list[tuple[float, int]]] = {}
    for work in labels.all_works():
        kinds = {annotation_kind(entry) for entry in work.entries}
        seconds = work.seconds + sum(entry.get("seconds", 0.0) for entry in work.entries)
        proposed = any("proposed_by" in entry for entry in work.entries)
        if work.finished and not proposed and len(kinds) == 1 and seconds > 0:
            rows.setdefault(kinds.pop(), []).append((seconds, len(work.entries)))
    table = {
        kind.name.lower(): {
            "images": len(seen),
            "entries": sum(count for _, count in seen),
            "seconds": sum(time for time, _ in seen) / len(seen),
            "seconds_an_entry": sum(time for time, _ in seen) / sum(count for _, count in seen),
        }
        for kind, seen in sorted(rows.items())
    }
    columns = ["images", "entries", "seconds", "seconds_an_entry"]
    return pd.DataFrame.from_dict(table, orient="index", columns=columns)


def measured_prices(labels: LabelFile, least: int = 5) -> Prices:
    """The prices of `wsislib.labels.prices` as they were measured on one's own images.

    Kinds with fewer than `least` images keep the published price, on a scale on which the
    measured kinds cost together what they cost there. So with one measured kind nothing changes.
    Raises ValueError where no kind has that many.
    """
    seconds = measured_seconds(labels)
    trusted = seconds[seconds["images"] >= least]["seconds"]
    if trusted.empty:
        raise ValueError(
            f"{labels.path}: no kind of label was measured on {least} finished images; label some "
            "images in one kind each, or use the published prices (wsislib.labels.prices.Prices)"
        )
    published = {field.name: float(getattr(Prices(), field.name)) for field in fields(Prices)}
    scale = sum(published[kind] for kind in trusted.index) / float(trusted.sum())
    measured = {str(kind): float(time) * scale for kind, time in trusted.items()}
    return Prices(**{**published, **measured})
