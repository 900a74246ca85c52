"""What the chapters on WISH show of its runs: moments, statistics by kind, what a batch holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from torch import Tensor

from wsisbook.experiments.watched_wish import MOMENTS, Snapshot, read_moments
from wsisbook.reading import RowResults
from wsislib.data.sample import Dataset, LabelKind, Sample
from wsislib.labels.weaken import weaken

if TYPE_CHECKING:
    from wsislib.models.wish.wish import WISH

KIND_NAMES = {kind: kind.name.lower() for kind in LabelKind}


def moments_of(row: RowResults, seed: int = 0) -> dict[int, dict[int, Snapshot]]:
    """Step -> image id -> what a run predicted for a validation scene; empty if not run."""
    file = row.folder(seed) / MOMENTS
    return read_moments(file) if file.is_file() else {}


def moment_frame(rows: Mapping[str, RowResults], seed: int = 0) -> pd.DataFrame:
    """Numbers of every moment, a line each; `rows` is what to call a row -> the row.

    Columns: `row`, `step`, `hits`, `found`, `points`, `objects` (the last two an image), `AP` and
    `AP50`. Rows that were not run are not there.
    """
    lines: list[dict[str, Any]] = []
    for title, row in rows.items():
        metrics = row.metrics(seed) or {}
        for step, found in metrics.get("moments", {}).items():
            if step != "last":
                lines.append({"row": title, "step": int(step), **found["cam"], **found["segm"]})
    columns = ["row", "step", "hits", "found", "points", "objects", "AP", "AP50"]
    return pd.DataFrame(lines, columns=columns)


def one_of_each(data: Dataset, first: int = 0, seed: int = 0) -> list[Sample]:
    """Four images in a row, told by a tag, points, boxes and masks."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for place, kind in enumerate(LabelKind):
        sample = data[first + place]
        label = weaken(sample.label, kind, generator)
        found.append(Sample(sample.image, sample.image_id, label))
    return found


def batch_table(batch: Iterable[Sample]) -> pd.DataFrame:
    """Every tensor that a batch holds, a line an image: the shape of each field, or nothing."""
    lines = []
    for sample in batch:
        line = {"image": sample.image_id, "told by": KIND_NAMES[sample.label.kind]}
        for name in ("categories", "points", "boxes", "masks", "candidates"):
            line[name] = _shape(getattr(sample.label, name))
        lines.append(line)
    return pd.DataFrame(lines).set_index("image")


def instance_table(model: WISH, batch: Sequence[Sample]) -> pd.DataFrame:
    """What the labels of a batch become before queries are matched: a line an instance.

    Args:
        model: its activation maps give tags their points, whatever its count of steps.
        batch: labels of any kind.
    """
    from wsislib.models.wish.label_completion import add_pseudo_labels
    from wsislib.models.wish.targets import wish_targets

    with torch.no_grad():
        cams = model.activation_maps([sample.image for sample in batch])
        complete = add_pseudo_labels(batch, cams, model.teacher, model.peaks)
        targets = wish_targets(complete, model.prompt_head, model.teacher, model.gate)
    assert targets.allowed is not None
    owners = [
        image_id
        for image_id, count in zip(targets.image_ids, targets.counts, strict=True)
        for _ in range(count)
    ]
    masks = [own for masks in targets.masks for own in masks]  # N of (M, H, W)
    return pd.DataFrame(
        {
            "image": owners,
            "told by": [KIND_NAMES[LabelKind(kind)] for kind in targets.kinds.tolist()],
            "category": targets.categories.tolist(),
            "candidates that may be learnt": targets.allowed.sum(1).tolist(),
            "their pixels": [
                ", ".join(str(int(mask.sum())) for mask in own[allowed])
                for own, allowed in zip(masks, targets.allowed, strict=True)
            ],
            "numbers in Z": [token.numel() for token in targets.prompts],
        }
    )


def kind_columns(history: pd.DataFrame, statistic: str) -> dict[str, pd.Series]:
    """Kind of label -> a logged statistic of it by step, for the kinds that have it."""
    found = {}
    for name in KIND_NAMES.values():
        column = f"{name}.{statistic}"
        if column in history:
            found[name] = history.set_index("step")[column].dropna()
    return found


def _shape(field: Any) -> str:
    if field is None:
        return "nothing"
    tensor: Tensor = field if isinstance(field, Tensor) else field.masks
    return " x ".join(str(side) for side in tensor.shape)
