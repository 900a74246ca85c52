"""The survey of many matchings: against what follows from one scene."""

from dataclasses import replace

import pytest
import torch

from tests.numeric import close
from wsisbook.part2.matching_trace import Survey, survey, trace_match
from wsislib.data.geometry import pairwise_mask_iou
from wsislib.data.sample import LabelKind, Sample
from wsislib.labels.weaken import weaken
from wsislib.models.wish.wish import WISH


@pytest.fixture(scope="module")
def found(student: WISH, scene: Sample) -> Survey:
    empty = replace(scene, label=scene.label.__class__(
        LabelKind.MASK, scene.label.categories[:0], boxes=scene.label.boxes[:0],
        masks=scene.label.masks[:0]))  # fmt: skip
    return survey(student, [scene, empty, scene], LabelKind.BOX, seed=0)


def test_one_scene_by_hand(student: WISH, scene: Sample, found: Survey) -> None:
    label = weaken(scene.label, LabelKind.BOX, torch.Generator().manual_seed(0))
    opened = trace_match(student, replace(scene, label=label), seed=0)
    assert found.instances == 2 * len(opened.pairs)
    spread = [(5 * opened.costs.terms["dice"][-1][:, i]).std() for _, i in opened.pairs]
    why = "a mean over both scenes, here over one of two alike"
    close(found.spread.loc["mask Dice", "spread"], torch.stack(spread).mean().item(), why, 1e-4)
    table = pairwise_mask_iou(opened.masks().flatten(1), scene.label.masks.flatten(1))
    own = [float(table[pair]) for pair in opened.pairs]
    row = found.left_out.loc["all three"]
    assert row["IoU of the query's mask"] == pytest.approx(sum(own) / len(own), abs=1e-6)
    assert row["another query"] == 0


def test_the_best_candidate_is_best(found: Survey) -> None:
    iou = found.choice["IoU"]
    assert iou["best of all"] >= max(iou["nearest to the query"], iou["highest score"])
    assert found.gate.loc["let through", "share"] == pytest.approx(2 / 3)
    assert 0 <= found.gate.loc["nearest was left out", "share"] <= 1


def test_every_part_is_taken_out_once(found: Survey) -> None:
    assert list(found.left_out.index) == [
        "all three", "without class", "without prompt", "without mask"
    ]  # fmt: skip
    assert found.left_out.loc["without mask", "another query"] > 0
