"""A teacher that looks closer: each object is cut out, enlarged and segmented once more.

A small SAM sees 192 px of a photograph. An object that covers a third of it is segmented on 64 px;
cut out with some margin it has the whole square for itself, and its mask the resolution of the
photograph. This is our choice, not the published SAM's; `wsis teacher measure` shows its worth.

A box is cut out as it is given, and once more mirrored; the mean of the two answers counts. A point
says nothing of the object's size, so the three masks of the whole image are asked for first, and a
window is laid around each: the best mask of a window takes the place of the mask that led there.
Those are three windows already, so they are not mirrored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from wsislib.data.mask_runs import MaskCrop
from wsislib.data.transforms import tight_boxes
from wsislib.data.windows import SquareWindow, box_window
from wsislib.models.sam.prompts import Prompts
from wsislib.models.sam.sam import (
    CANDIDATES,
    Embedded,
    MaskCandidates,
    PromptAnswer,
    Teacher,
    portions,
)

MOST_WINDOW = 1024  # pixels; a larger window is cut out of a smaller image where memory matters
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

    context = 1.2

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
        image = embedded.images[0]
        if prompts.boxes is not None:
            return self._of_boxes(image, prompts.boxes, mirrored=True)
        (first,) = super().candidates(embedded, [prompts])
        closer = [
            best_candidate(
                self._of_boxes(image, _boxes_of(first.masks[:, place], prompts), mirrored=False)
            )
            for place in range(CANDIDATES)
        ]
        # The first answer says how likely each of the three is meant; a window only how well its
        # object was segmented.
        logits, low = (torch.cat(maps, dim=1) for maps in zip(*closer, strict=True))
        return MaskCandidates(logits, first.scores, low)

    @torch.no_grad()
    def answers(self, embedded: Embedded, prompts: Prompts) -> Iterator[PromptAnswer]:
        """As of `Teacher`; of an object of more than `MOST_WINDOW` pixels from a smaller image."""
        assert isinstance(embedded, EmbeddedImages)
        image = embedded.images[0]
        if prompts.boxes is not None:
            yield from self._crops(image, prompts.boxes, mirrored=True)
            return
        for some in portions(prompts, embedded.sizes[0]):
            (first,) = super().candidates(embedded, [some])
            around = [_boxes_of(first.masks[:, place], some) for place in range(CANDIDATES)]
            scores = first.scores.cpu()
            del first  # the maps of the whole image
            closer = [list(self._crops(image, boxes, mirrored=False)) for boxes in around]
            for row, trio in enumerate(zip(*closer, strict=True)):
                best = tuple(one.crops[int(one.scores.argmax())] for one in trio)
                yield PromptAnswer(best, scores[row])

    def _crops(self, image: Tensor, boxes: Tensor, mirrored: bool) -> Iterator[PromptAnswer]:
        """An answer for each of (N, 4) boxes, from a window of its own."""
        height, width = int(image.shape[-2]), int(image.shape[-1])
        sizes = [box_window(box, self.context).size for box in boxes]
        factors = [-(-size // MOST_WINDOW) for size in sizes]
        start = 0
        for factor, alike in groupby(factors):
            rows = slice(start, start + len(list(alike)))
            start = rows.stop
            level = image if factor == 1 else avg_pool2d(image, factor, ceil_mode=True)
            for window, found in self._answers(level, boxes[rows] / factor, mirrored):
                maps = found.logits[0]
                crops = tuple(_crop_of(window, one, factor, height, width) for one in maps)
                yield PromptAnswer(crops, found.scores[0].cpu())

    def _answers(
        self, image: Tensor, boxes: Tensor, mirrored: bool
    ) -> Iterator[tuple[SquareWindow, MaskCandidates]]:
        """For each of (N, 4) boxes its window, and candidates of the window's size."""
        windows = [box_window(box, self.context) for box in boxes]
        for start in range(0, len(windows), _AT_ONCE):
            rows = slice(start, start + _AT_ONCE)
            seen = self._in_windows(image, windows[rows], boxes[rows], False)
            if mirrored:
                again = self._in_windows(image, windows[rows], boxes[rows], True)
                seen = [_mean(*pair) for pair in zip(seen, again, strict=True)]
            yield from zip(windows[rows], seen, strict=True)

    def _of_boxes(self, image: Tensor, boxes: Tensor, mirrored: bool) -> MaskCandidates:
        """Candidates of the image's size for (N, 4) boxes, each from a window of its own."""
        windows, answers = zip(*self._answers(image, boxes, mirrored), strict=True)
        pasted = [
            window.paste(found.logits[0], image.shape[-2:], _OUTSIDE)[None]
            for window, found in zip(windows, answers, strict=True)
        ]
        scores, low = (
            torch.cat([getattr(a, k) for a in answers]) for k in ("scores", "low_logits")
        )
        return MaskCandidates(torch.cat(pasted), scores, low)

    def _in_windows(
        self, image: Tensor, windows: Sequence[SquareWindow], boxes: Tensor, mirrored: bool
    ) -> list[MaskCandidates]:
        """Candidates of each window's size, of one box in each; unmirrored again at the end."""
        fill = (self.sam.pixel_mean / 255).to(image)  # SAM's own padding is 0 once normalised
        cuts = [window.cut(image, fill) for window in windows]
        views = super().embed([cut.flip(-1) if mirrored else cut for cut in cuts])
        answers = []
        for index, (window, box) in enumerate(zip(windows, boxes, strict=True)):
            x0, y0, x1, y1 = (box - box.new_tensor([window.left, window.top] * 2)).unbind()
            x0, x1 = (window.size - x1, window.size - x0) if mirrored else (x0, x1)
            prompts = Prompts(boxes=torch.stack([x0, y0, x1, y1])[None])
            (found,) = super().candidates(views.one(index), [prompts])
            if mirrored:
                found = MaskCandidates(
                    found.logits.flip(-1), found.scores, found.low_logits.flip(-1)
                )
            answers.append(found)
        return answers


def best_candidate(candidates: MaskCandidates) -> tuple[Tensor, Tensor]:
    """Logits (N, 1, H, W) and low logits (N, 1, h, w) of the best predicted IoU."""
    rows, best = torch.arange(len(candidates)), candidates.scores.argmax(1)
    return candidates.logits[rows, best][:, None], candidates.low_logits[rows, best][:, None]


def _crop_of(
    window: SquareWindow, logits: Tensor, factor: int, height: int, width: int
) -> MaskCrop:
    """The mask of logits (s, s) in a window of an image that is `factor` times smaller.

    Height and width are those of the image itself, in whose pixels the crop is.
    """
    top, left = max(window.top, 0), max(window.left, 0)
    bottom = min(window.top + window.size, -(-height // factor))
    right = min(window.left + window.size, -(-width // factor))
    inside = logits[
        top - window.top : max(bottom, top) - window.top,
        left - window.left : max(right, left) - window.left,
    ]
    if factor > 1 and inside.numel():
        (inside,) = interpolate(inside[None, None], scale_factor=factor, mode="bilinear")[0]
        inside = inside[: height - top * factor, : width - left * factor]
    return MaskCrop((inside > 0).cpu().numpy(), top * factor, left * factor)


def _mean(first: MaskCandidates, second: MaskCandidates) -> MaskCandidates:
    return MaskCandidates(
        (first.logits + second.logits) / 2,
        (first.scores + second.scores) / 2,
        (first.low_logits + second.low_logits) / 2,
    )


def _boxes_of(masks: Tensor, prompts: Prompts) -> Tensor:
    """(N, 4) boxes around (N, H, W) masks; around the point where a mask is empty."""
    assert prompts.points is not None
    around = torch.cat([prompts.points - 0.5, prompts.points + 0.5], dim=1)
    empty = ~masks.flatten(1).any(1, keepdim=True)
    return torch.where(empty, around, tight_boxes(masks))
