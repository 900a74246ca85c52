"""Prompts for SAM: points or boxes on an image, checked, and those of a label."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wsislib.data.sample import Label, LabelKind

Size = tuple[int, int]  # (H, W) in pixels


@dataclass(frozen=True)
class Prompts:
    """N prompts on one image, all points or all boxes.

    Attributes:
        points: (N, 2) float32 xy in pixels, one point on each object.
        boxes: (N, 4) float32 xyxy in pixels.
    """

    points: Tensor | None = None
    boxes: Tensor | None = None

    def __post_init__(self) -> None:
        assert (self.points is None) != (self.boxes is None), "either points or boxes"

    def __len__(self) -> int:
        return len(self._given())

    def _given(self) -> Tensor:
        given = self.points if self.boxes is None else self.boxes
        assert given is not None
        return given

    def check(self, size: Size, image_id: int | None = None) -> Prompts:
        """Return self, or raise one clear error; `size` is (H, W) of the image, the id is named.

        Raises:
            ValueError: a point or box has no finite coordinates or lies outside of the image, or
                a box is empty; names the entry and the way out.
        """
        height, width = size
        low, high = self._given()[:, :2], self._given()[:, -2:]
        limit = low.new_tensor([width, height])
        sound = ((low >= 0) & (high <= limit)).all(dim=1)
        if self.boxes is not None:
            sound &= (low < high).all(dim=1)
        if bool(sound.all()):
            return self
        entry = int(torch.nonzero(~sound)[0])
        what = "point" if self.boxes is None else "box"
        where = "the image" if image_id is None else f"image {image_id}"
        rule = "0 <= x <= W" if what == "point" else "0 <= x0 < x1 <= W"
        raise ValueError(
            f"{where}, entry {entry}: the {what} {self._given()[entry].tolist()} is no prompt on "
            f"{width} x {height} pixels (it must have {rule}, and y alike); mend or remove it"
        )


def prompts_of(label: Label) -> Prompts:
    """A label's points or boxes as prompts.

    Raises:
        ValueError: the label is a tag (pseudo points have to be found first), or only some of its
            entries are points.
    """
    if label.kind >= LabelKind.BOX:
        return Prompts(boxes=label.boxes)
    mixed = label.kinds is not None and bool((label.kinds != int(LabelKind.POINT)).any())
    if label.kind == LabelKind.POINT and not mixed:
        return Prompts(points=label.points)
    kinds = "several kinds of entries" if mixed else "tags only"
    raise ValueError(
        f"a label with {kinds} is no prompt for SAM; it takes points or boxes, one kind an image"
    )
