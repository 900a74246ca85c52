"""The teacher asked while training: for tags always, for points and boxes where no cache was read.

What a tag-labelled image lacks are points. Once peaks of its activation maps stand in for them, it
is a point-labelled image with candidates like any other, and goes the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from wsislib.data.sample import Candidates, Label, LabelKind, Sample
from wsislib.models.cam import Cams
from wsislib.models.prompt_head import PromptTeacher, entry_prompts, in_place
from wsislib.models.prompts import Prompts
from wsislib.models.pseudo_points import PeakRule, Peaks, find_peaks, merged_points
from wsislib.models.sam import Embedded


@torch.no_grad()
def taught(
    batch: Sequence[Sample], cams: Cams | None, teacher: PromptTeacher, rule: PeakRule
) -> list[Sample]:
    """The batch with points for tags, and candidates for every entry that has no mask.

    Images of which the teacher has nothing to tell are handed on as they are: it sees only those
    that need it, all at once.

    Args:
        batch: B images with labels of any kind.
        cams: their activation maps; None while those are not to be trusted. Then tags give no
            point.
        teacher: on the device of the images.
        rule: what a peak is.

    Returns:
        B samples without tags: a tag-labelled image has become one of kind POINT, with pseudo
        points; without a peak its label is empty.

    Raises:
        ValueError: names the image whose label mixes tags with dearer entries.
    """
    peaks = [_peaks_of(sample, index, cams, rule) for index, sample in enumerate(batch)]
    asking = [
        index
        for index, (sample, found) in enumerate(zip(batch, peaks, strict=True))
        if (_lacks_candidates(sample.label) if found is None else len(found) > 0)
    ]
    done = [
        sample if found is None else _with_label(sample, _no_points(sample.label))
        for sample, found in zip(batch, peaks, strict=True)
    ]
    if not asking:
        return done
    embedded = teacher.embed([batch[index].image for index in asking])
    for place, index in enumerate(asking):
        own, sample = embedded.one(place), batch[index]
        label = _labelled(sample, index, peaks[index], cams, own, teacher, rule)
        done[index] = _with_label(sample, label)
    return done


def _labelled(
    sample: Sample,
    index: int,
    found: Peaks | None,
    cams: Cams | None,
    own: Embedded,
    teacher: PromptTeacher,
    rule: PeakRule,
) -> Label:
    """The label with candidates, from its prompts or from its peaks."""
    if found is None:
        return replace(sample.label, candidates=_candidates_of(sample.label, own, teacher))
    assert cams is not None
    size = (int(sample.image.shape[-2]), int(sample.image.shape[-1]))
    points = cams.places(index, found.cells, size)

    def ask(points: Tensor) -> Candidates:
        return _ask(teacher, own, Prompts(points=points))

    kept = merged_points(points, found.categories, ask, rule.overlap)
    return Label(LabelKind.POINT, kept.categories, kept.points, candidates=kept.candidates)


def _peaks_of(sample: Sample, index: int, cams: Cams | None, rule: PeakRule) -> Peaks | None:
    """Peaks of a tag-labelled image (none in warm-up); None for labels of other kinds."""
    label = sample.label
    if label.kind != LabelKind.TAG:
        return None
    if label.kinds is not None:
        raise ValueError(
            f"image {sample.image_id}: its label mixes tags with dearer entries, of which WISH "
            "cannot tell whether they are the same objects. Give each image one kind, or points, "
            "boxes and masks together."
        )
    if cams is None:
        nothing = label.categories[:0]
        return Peaks(nothing, nothing.new_zeros(0, 2), sample.image.new_zeros(0))
    return find_peaks(cams.of_image(index), label.categories, rule)


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


def _no_points(label: Label) -> Label:
    """A point label without entries."""
    nowhere = torch.zeros(0, 2, device=label.categories.device)
    return Label(LabelKind.POINT, label.categories[:0], nowhere)


def _with_label(sample: Sample, label: Label) -> Sample:
    return Sample(sample.image, sample.image_id, label)
