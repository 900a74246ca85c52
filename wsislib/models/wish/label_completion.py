"""The teacher asked while training: for tags always, for points and boxes where no cache was read.

What a tag lacks are points. Once peaks of its category's activation map stand in for them, it has
become entries of points with candidates like any others, and goes the same way. An image may have
tags for some categories and dearer entries for others: the tags of partially supervised data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from wsislib.data.sample import Candidates, Label, LabelKind, Sample
from wsislib.models.sam.prompts import Prompts
from wsislib.models.sam.sam import Embedded
from wsislib.models.wish.cam import Cams
from wsislib.models.wish.label_parts import covered_by, joined, pseudo_label, tags_of, without_tags
from wsislib.models.wish.prompt_head import PromptTeacher, entry_prompts, in_place
from wsislib.models.wish.pseudo_points import PeakRule, find_peaks, mask_nms


@dataclass(frozen=True)
class CompletedSample:
    """An image as the teacher completed it.

    Attributes:
        sample: its label has no tags: first the entries that were given, then pseudo points. All
            that have no mask have candidates.
        kinds: (K,) int64 of `LabelKind`, what each entry was told by; TAG for pseudo points.
        searched: False where tags name categories of which nothing is placed, and no pseudo point
            was found.
    """

    sample: Sample
    kinds: Tensor
    searched: bool

    @property
    def label(self) -> Label:
        """Of the sample."""
        return self.sample.label

    @property
    def guessed(self) -> Tensor:
        """(K,) bool: which entries are pseudo points."""
        return self.kinds == int(LabelKind.TAG)


@torch.no_grad()
def taught(
    batch: Sequence[Sample], cams: Cams | None, teacher: PromptTeacher, rule: PeakRule
) -> list[CompletedSample]:
    """The batch with points for tags, and candidates for every entry that has no mask.

    The teacher sees only the images that need it, all at once. A tag of a category that has dearer
    entries in its image says that there may be more: peaks on those entries are no new objects.

    Args:
        batch: B images with labels of any kind.
        cams: their activation maps; None while those are not to be trusted. Then tags give no
            point.
        teacher: on the device of the images.
        rule: what a peak is.
    """
    known = [without_tags(sample.label) for sample in batch]
    peaks = [_peaks(sample, index, cams, rule) for index, sample in enumerate(batch)]
    asking = [
        index
        for index, (label, found) in enumerate(zip(known, peaks, strict=True))
        if _lacks_candidates(label) or len(found[0])
    ]
    done = [_completed(*parts, None) for parts in zip(batch, known, strict=True)]
    if not asking:
        return done
    embedded = teacher.embed([batch[index].image for index in asking])
    for place, index in enumerate(asking):
        own, label = embedded.one(place), known[index]
        if _lacks_candidates(label):
            label = replace(label, candidates=_candidates_of(label, own, teacher))
        pseudo = _pseudo_points(label, peaks[index], own, teacher, rule)
        done[index] = _completed(batch[index], label, pseudo)
    return done


def _completed(given: Sample, known: Label, pseudo: Label | None) -> CompletedSample:
    """An image of known entries and pseudo points."""
    label = known if pseudo is None else joined(known, pseudo)
    guesses = len(label) - len(known)
    kinds = torch.cat([known.entry_kinds.long(), known.categories.new_zeros(guesses)])
    unknown = tags_of(given.label)
    if len(unknown) and len(known):
        unknown = unknown[~torch.isin(unknown, known.categories)]
    sample = Sample(given.image, given.image_id, label)
    return CompletedSample(sample, kinds, guesses > 0 or len(unknown) == 0)


def _pseudo_points(
    known: Label,
    peaks: tuple[Tensor, Tensor],
    own: Embedded,
    teacher: PromptTeacher,
    rule: PeakRule,
) -> Label | None:
    """Peaks as a label of points with candidates, one an object; None of none."""
    categories, points = peaks
    if len(known) and len(points):
        new = ~covered_by(known, categories, points)
        categories, points = categories[new], points[new]
    if len(points) == 0:
        return None

    def ask(points: Tensor) -> Candidates:
        return _ask(teacher, own, Prompts(points=points))

    return pseudo_label(mask_nms(points, categories, ask, rule.overlap))


def _peaks(sample: Sample, index: int, cams: Cams | None, rule: PeakRule) -> tuple[Tensor, Tensor]:
    """Categories (P,) and places (P, 2) xy in pixels of the peaks of an image's tags."""
    tags = tags_of(sample.label)
    if cams is None or len(tags) == 0:
        return tags[:0], sample.image.new_zeros(0, 2)
    found = find_peaks(cams.of_image(index), tags, rule)
    size = (int(sample.image.shape[-2]), int(sample.image.shape[-1]))
    return found.categories, cams.places(index, found.cells, size)


def _lacks_candidates(label: Label) -> bool:
    """Whether an entry without mask has no candidates."""
    return label.candidates is None and not bool(label.has_mask.all())


def _candidates_of(label: Label, own: Embedded, teacher: PromptTeacher) -> Candidates:
    sets = entry_prompts(label)
    offered = [_ask(teacher, own, prompts) for _, prompts in sets]
    rows = [rows for rows, _ in sets]
    return Candidates(
        in_place(rows, [some.masks for some in offered]),
        in_place(rows, [some.quality for some in offered]),
    )


def _ask(teacher: PromptTeacher, own: Embedded, prompts: Prompts) -> Candidates:
    """The teacher's candidates for prompts on one image, as labels carry them."""
    (offered,) = teacher.candidates(own, [prompts])
    return Candidates(offered.masks, offered.scores.clamp(0.0, 1.0))
