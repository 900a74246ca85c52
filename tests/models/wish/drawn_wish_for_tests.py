"""A small WISH whose teacher draws discs."""

from tests.models.drawn_teacher import DrawnTeacher
from tests.numeric import close
from wsislib.data.sample import LabelKind
from wsislib.models.sam.tiny_sam import tiny_sam
from wsislib.models.wish.builders import (
    wish_lab,
    wish_loss_weights,
)
from wsislib.models.wish.wish import WISH

CATEGORIES, SIDE, WIDTH = 5, 48, 16
NAMES = {"loss_class", "loss_mask", "loss_dice", "loss_prompt", "loss_cam", "loss_self"}
KINDS = list(LabelKind)
MIXED = [[kind] for kind in KINDS] + [KINDS]


class SureTeacher(DrawnTeacher):
    """All of its discs pass the gate."""

    scores = (0.5, 0.9, 0.7)


def drawn_teacher():
    return SureTeacher(tiny_sam(3, WIDTH, SIDE, (4, 4, 4, 4)), "drawn", "0")


def lab(parts=None, **settings) -> WISH:
    how = {"cam_warmup": 0, "self_start": 0, "seed": 1, **settings}
    return wish_lab(CATEGORIES, drawn_teacher(), parts, **how)


def weighted(losses):
    return sum(wish_loss_weights()[name] * loss for name, loss in losses.items())


def assert_same(found, wanted):
    assert found.keys() == wanted.keys() == NAMES
    # Losses of random points on logits that went through some twenty layers.
    close(found, wanted, "another order or padding, the same terms", rtol=1e-4, atol=1e-4)


def spied(model, batch, monkeypatch):
    """What the matcher was given and gave, and what the losses were given."""
    seen = {}
    match, matched = model.segmenter.match, model.segmenter.matched_losses

    def spy_match(said, targets, generator, terms):
        seen["terms"], seen["matches"] = terms, match(said, targets, generator, terms)
        return seen["matches"]

    def spy_losses(said, targets, matches, generator):
        seen.update(said=said, targets=targets, used=matches)
        return matched(said, targets, matches, generator)

    monkeypatch.setattr(model.segmenter, "match", spy_match)
    monkeypatch.setattr(model.segmenter, "matched_losses", spy_losses)
    seen["losses"] = model.losses(batch)
    return seen
