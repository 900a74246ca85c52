"""A teacher that looks closer: each object is cut out, enlarged and segmented once more.

A small SAM sees 192 px of a photograph. An object that covers a third of it is segmented on 64 px;
cut out with some margin it has the whole square for itself, and its mask the resolution of the
photograph. This is our choice, not the published SAM's; `wsis teacher measure` shows its worth.

A box is cut out as it is given. A point says nothing of the object's size, so the masks of the
whole image are asked for first, and the window is laid around the best of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from wsislib.data.transforms import tight_boxes
from wsislib.data.windows import SquareWindow, box_window
from wsislib.models.sam.prompts import Prompts
from wsislib.models.sam.sam import Embedded, MaskCandidates, Teacher

_AT_ONCE = 16  # windows that are encoded together
_OUTSIDE = -20.0  # logit of pixels outside of the window


@dataclass(frozen=True)
class EmbeddedImages(Embedded):
    """`Embedded` that keeps the images, to look at parts of them again."""

    images: tuple[Tensor, ...] = ()

    def one(self, index: int) -> EmbeddedImages:
        """Image `index` alone."""
        alone = super().one(index)
        return EmbeddedImages(alone.features, alone.input_sizes, alone.sizes, (self.images[index],))


class CloseUpTeacher(Teacher):
    """A frozen SAM whose candidates come from a window around each prompt.

    Attributes:
        context: side of the window, as a multiple of the longer side of the box.
    """

    context = 1.4

    @torch.no_grad()
    def embed(self, images: Sequence[Tensor]) -> EmbeddedImages:
        """As of `Teacher`; the images stay with their maps."""
        whole = super().embed(images)
        return EmbeddedImages(whole.features, whole.input_sizes, whole.sizes, tuple(images))

    @torch.no_grad()
    def candidates(
        self,
        images: Sequence[Tensor] | Embedded,
        prompts: Sequence[Prompts],
        closer: bool = True,
    ) -> list[MaskCandidates]:
        """As of `Teacher`; without `closer` from the whole image, which is faster."""
        if not closer or (isinstance(images, Embedded) and not isinstance(images, EmbeddedImages)):
            return super().candidates(images, prompts)
        embedded = images if isinstance(images, EmbeddedImages) else self.embed(images)
        assert len(embedded) == len(prompts), "one set of prompts for each image"
        return [self._closer(embedded.one(i), some) for i, some in enumerate(prompts)]

    def _closer(self, embedded: EmbeddedImages, prompts: Prompts) -> MaskCandidates:
        """Candidates of one image."""
        if len(prompts) == 0:
            return super().candidates(embedded, [prompts])[0]
        boxes = prompts.boxes
        if boxes is None:
            boxes = _best_boxes(super().candidates(embedded, [prompts])[0], prompts)
        windows = [box_window(box, self.context) for box in boxes]
        answers = []
        for start in range(0, len(windows), _AT_ONCE):
            rows = slice(start, start + _AT_ONCE)
            answers += self._in_windows(embedded.images[0], windows[rows], boxes[rows])
        names = [field.name for field in fields(MaskCandidates)]
        return MaskCandidates(*(torch.cat([getattr(a, name) for a in answers]) for name in names))

    def _in_windows(
        self, image: Tensor, windows: Sequence[SquareWindow], boxes: Tensor
    ) -> list[MaskCandidates]:
        """Candidates of the image's size, of one box in each window."""
        fill = (self.sam.pixel_mean / 255).to(image)  # SAM's own padding is 0 once normalised
        views = super().embed([window.cut(image, fill) for window in windows])
        answers = []
        for index, (window, box) in enumerate(zip(windows, boxes, strict=True)):
            corner = box.new_tensor([window.left, window.top] * 2)
            prompts = Prompts(boxes=(box - corner)[None])
            (found,) = super().candidates(views.one(index), [prompts])
            logits = window.paste(found.logits[0], image.shape[-2:], _OUTSIDE)[None]
            answers.append(replace(found, logits=logits))
        return answers


def _best_boxes(candidates: MaskCandidates, prompts: Prompts) -> Tensor:
    """(N, 4) boxes around the masks of the best predicted IoU; around the point where empty."""
    assert prompts.points is not None
    rows = torch.arange(len(candidates))
    best = candidates.masks[rows, candidates.scores.argmax(1)]  # (N, H, W)
    around = torch.cat([prompts.points - 0.5, prompts.points + 0.5], dim=1)
    empty = ~best.flatten(1).any(1, keepdim=True)
    return torch.where(empty, around, tight_boxes(best))
