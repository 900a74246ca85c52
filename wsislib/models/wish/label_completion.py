"""Labels completed by the teacher: pseudo points for tags, candidates for all entries without mask.

WISH (Kweon and Yoon 2025), tags to points (equation 20 of the public summary): peaks of activation
maps stand in for the points that tags lack. From there on tags go the same way as points. An image
may have tags for some categories and annotated entries for others, as in partially supervised data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from wsislib.data.geometry import masks_at_points
from wsislib.data.sample import Candidates, Label, LabelKind, Sample
from wsislib.models.sam.prompts import Prompts
from wsislib.models.sam.sam import Embedded, Teacher
from wsislib.models.wish.cam import Cams
from wsislib.models.wish.prompt_head import (
    entries_with_box,
    entry_prompts,
    in_place,
)
from wsislib.models.wish.pseudo_points import PeakRule, find_peaks, mask_nms


@dataclass(frozen=True)
class CompletedSample:
    """An image whose label needs nothing more.

    Attributes:
        sample: its label has no tags: first the annotated entries, then pseudo points. All that
            have no mask have candidates.
        kinds: (K,) int64 of `LabelKind`, what each entry was labelled by; TAG for pseudo points.
        background_known: False where tags name categories of which nothing is located, and no
            pseudo point was found: a query that finds one of them would be told "no object".
    """

    sample: Sample
    kinds: Tensor
    background_known: bool

    @property
    def label(self) -> Label:
        """The sample's."""
        return self.sample.label

    @property
    def is_pseudo(self) -> Tensor:
        """(K,) bool: which entries are pseudo points."""
        return self.kinds == int(LabelKind.TAG)


@torch.no_grad()
def add_pseudo_labels(
    batch: Sequence[Sample], cams: Cams | None, teacher: Teacher, rule: PeakRule
) -> list[CompletedSample]:
    """The batch with points for tags, and candidates for every entry that has no mask.

    A tag of a category that has annotated entries in its image says that there may be more
    objects: peaks on those entries are no new ones.

    Args:
        batch: B images with labels of any kind.
        cams: their activation maps; None while those are not good enough. Then tags give no point.
        teacher: on the device of the images.
        rule: what a peak is.
    """
    annotated = [without_tags(sample.label) for sample in batch]
    peaks = [_peaks(sample, index, cams, rule) for index, sample in enumerate(batch)]
    done = [_completed(*pair, None) for pair in zip(batch, annotated, strict=True)]
    to_ask = [
        index
        for index, (label, found) in enumerate(zip(annotated, peaks, strict=True))
        if _lacks_candidates(label) or len(found[0])
    ]
    if not to_ask:
        return done
    # The image encoder is most of the teacher's cost: once for all, and only where needed.
    embedded = teacher.embed([batch[index].image for index in to_ask])
    for row, index in enumerate(to_ask):
        image, label = embedded.one(row), annotated[index]
        if _lacks_candidates(label):
            label = replace(label, candidates=_candidates_of(label, image, teacher))
        pseudo = _pseudo_points(label, peaks[index], image, teacher, rule)
        done[index] = _completed(batch[index], label, pseudo)
    return done


def without_tags(label: Label) -> Label:
    """The entries that are no tags, in their order, with their candidates.

    Returns:
        The label itself where it has no tags; an empty one of points where it has nothing else.
    """
    if label.kind != LabelKind.TAG:
        return label
    if label.kinds is not None:
        rest = label[label.kinds > int(LabelKind.TAG)]
        if len(rest):
            return replace(rest, kind=LabelKind(int(rest.entry_kinds.min())))
    nowhere = torch.zeros(0, 2, device=label.categories.device)
    return Label(LabelKind.POINT, label.categories[:0], nowhere)


def tags_of(label: Label) -> Tensor:
    """(T,) int64: the categories of the entries that are tags."""
    if label.kind != LabelKind.TAG:
        return label.categories[:0]
    if label.kinds is None:
        return label.categories
    return label.categories[label.kinds == int(LabelKind.TAG)]


def concat_labels(annotated: Label, pseudo: Label) -> Label:
    """Annotated entries of any kind but TAG, then pseudo points, with the candidates of both.

    `annotated` has candidates, or a mask for every entry; `pseudo` is of kind POINT.
    """
    if len(annotated) == 0:
        return pseudo
    assert pseudo.points is not None and pseudo.candidates is not None
    added, points = len(pseudo), annotated.points
    if points is None:
        points = pseudo.points.new_zeros(len(annotated), 2)
    offered, own = pseudo.candidates, annotated.candidates
    if own is None:  # all have masks, so none of these is ever learnt
        masks = offered.masks.new_zeros(len(annotated), *offered.masks.shape[1:])
        own = Candidates(masks, offered.quality.new_zeros(len(annotated), offered.quality.shape[1]))
    return Label(
        LabelKind.POINT,
        torch.cat([annotated.categories, pseudo.categories]),
        points=torch.cat([points, pseudo.points]),
        boxes=_with_empty_rows(annotated.boxes, added),
        masks=_with_empty_rows(annotated.masks, added),
        kinds=torch.cat([annotated.entry_kinds, pseudo.entry_kinds]),
        candidates=Candidates(
            torch.cat([own.masks, offered.masks]), torch.cat([own.quality, offered.quality])
        ),
    )


def covered_by(annotated: Label, categories: Tensor, points: Tensor) -> Tensor:
    """(P,) bool: which points (P, 2) xy in pixels lie on an annotated entry of their category.

    An entry covers its mask, else its box, else the candidate of the highest predicted IoU.
    """
    alike = annotated.categories[:, None] == categories  # (K, P)
    covers = torch.zeros_like(alike)
    if annotated.candidates is not None:
        best = annotated.candidates.quality.argmax(1)
        rows = torch.arange(len(best), device=best.device)
        covers |= masks_at_points(annotated.candidates.masks[rows, best], points)
    if annotated.boxes is not None:
        low, high = annotated.boxes[:, None, :2], annotated.boxes[:, None, 2:]  # (K, 1, 2)
        inside = ((points >= low) & (points <= high)).all(2)
        covers = torch.where(entries_with_box(annotated)[:, None], inside, covers)
    if annotated.masks is not None:
        on_mask = masks_at_points(annotated.masks, points)
        covers = torch.where(annotated.has_mask[:, None], on_mask, covers)
    return (alike & covers).any(0)


def _completed(given: Sample, annotated: Label, pseudo: Label | None) -> CompletedSample:
    """An image of annotated entries and pseudo points."""
    label = annotated if pseudo is None else concat_labels(annotated, pseudo)
    added = len(label) - len(annotated)
    kinds = torch.cat([annotated.entry_kinds.long(), annotated.categories.new_zeros(added)])
    unknown = tags_of(given.label)
    if len(unknown) and len(annotated):
        unknown = unknown[~torch.isin(unknown, annotated.categories)]
    sample = Sample(given.image, given.image_id, label)
    return CompletedSample(sample, kinds, added > 0 or len(unknown) == 0)


def _pseudo_points(
    annotated: Label,
    peaks: tuple[Tensor, Tensor],
    image: Embedded,
    teacher: Teacher,
    rule: PeakRule,
) -> Label | None:
    """Peaks as a label of points with candidates, one for each object; None where none is left."""
    categories, points = peaks
    if len(annotated) and len(points):
        new = ~covered_by(annotated, categories, points)
        categories, points = categories[new], points[new]
    if len(points) == 0:
        return None

    def ask(points: Tensor) -> Candidates:
        # From the whole image: a closer look at each point in every step would double its cost.
        return _ask(teacher, image, Prompts(points=points), closer=False)

    kept = mask_nms(points, categories, ask, rule.overlap)
    return Label(LabelKind.POINT, kept.categories, kept.points, candidates=kept.candidates)


def _peaks(sample: Sample, index: int, cams: Cams | None, rule: PeakRule) -> tuple[Tensor, Tensor]:
    """Categories (P,) and points (P, 2) xy in pixels of the peaks of an image's tags."""
    tags = tags_of(sample.label)
    if cams is None or len(tags) == 0:
        return tags[:0], sample.image.new_zeros(0, 2)
    peaks = find_peaks(cams.of_image(index), tags, rule)
    size = (int(sample.image.shape[-2]), int(sample.image.shape[-1]))
    return peaks.categories, cams.places(index, peaks.cells, size)


def _lacks_candidates(label: Label) -> bool:
    """Whether an entry without mask has no candidates."""
    return label.candidates is None and not bool(label.has_mask.all())


def _candidates_of(label: Label, image: Embedded, teacher: Teacher) -> Candidates:
    sets = entry_prompts(label)
    answers = [_ask(teacher, image, prompts) for _, prompts in sets]
    rows = [rows for rows, _ in sets]
    return Candidates(
        in_place(rows, [answer.masks for answer in answers]),
        in_place(rows, [answer.quality for answer in answers]),
    )


def _ask(teacher: Teacher, image: Embedded, prompts: Prompts, closer: bool = True) -> Candidates:
    """The teacher's candidates for prompts on one image, as labels carry them."""
    (answer,) = teacher.candidates(image, [prompts], closer)
    # SAM's predicted IoU is a regression and may leave 0..1; labels, and caches of them, do not.
    return Candidates(answer.masks, answer.scores.clamp(0.0, 1.0))


def _with_empty_rows(field: Tensor | None, added: int) -> Tensor | None:
    """A field with empty rows for the added entries."""
    if field is None:
        return None
    return torch.cat([field, field.new_zeros(added, *field.shape[1:])])
