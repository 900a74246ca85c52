"""Peaks step by step: what the page shows is what training does."""

import pytest
import torch

from tests.numeric import close
from wsisbook.experiments.wish_insight import cam_quality
from wsisbook.part2.wish_peaks import _into, peak_story, quality_by_rule, self_targets_trace
from wsislib.data.sample import Candidates, Label, LabelKind, Sample
from wsislib.data.world import WorldDataset, WorldSpec
from wsislib.losses.cams import self_loss, self_targets
from wsislib.models.sam.sam import Teacher
from wsislib.models.sam.tiny_sam import tiny_sam
from wsislib.models.wish.builders import wish_lab
from wsislib.models.wish.label_completion import add_pseudo_labels
from wsislib.models.wish.pseudo_points import PeakRule


@pytest.fixture(scope="module")
def model():
    teacher = Teacher(tiny_sam(0, 8, 48, (4, 4, 4, 4)), "random", "0")
    model = wish_lab(5, teacher, cam_warmup=0, seed=1).eval()
    torch.nn.init.normal_(
        model.cam_head.classify.weight, 0.0, 0.3, torch.Generator().manual_seed(0)
    )
    decoder = model.segmenter.query_decoder
    torch.nn.init.constant_(decoder.classify.bias[-1:], -50.0)  # every query claims a category
    return model


@pytest.fixture(scope="module")
def scenes() -> list[Sample]:
    data = WorldDataset(WorldSpec(categories=5), seed=3, count=6, size=64)
    return [data[index] for index in range(len(data))]


def test_the_story_ends_with_the_points_that_training_takes(model, scenes) -> None:
    for scene in scenes:
        story = peak_story(model, scene)
        framed = model.segmenter.framing([scene.image], True)
        cams = model.cam_head(model.segmenter.extract_features(framed), framed.padding)
        tags = Label(LabelKind.TAG, scene.label.categories.unique())
        (done,) = add_pseudo_labels(
            [Sample(scene.image, 1, tags)], cams, model.teacher, model.peaks
        )
        assert torch.equal(story.points[story.kept], done.label.points)
        assert torch.equal(story.peaks.categories[story.kept], done.label.categories)
        assert all(float(h.min()) >= 0 and float(h.max()) <= 1 for h in story.heights.values())
        frame = story.frame(WorldDataset(WorldSpec(categories=5), seed=3, count=1).categories)
        assert (frame["becomes"] == "a pseudo point").sum() == len(done.label)
        assert story.chances.shape == (5,)


def test_hits_are_those_that_cam_quality_counts(model, scenes) -> None:
    story = peak_story(model, scenes[0])
    counted = cam_quality(model, scenes[:1])
    kept = story.kept
    assert counted["points"] == int(kept.sum())
    assert counted["hits"] == pytest.approx(float(story.hits[kept].float().mean()))


def test_who_was_merged_into_whom() -> None:
    masks = torch.zeros(4, 1, 4, 4, dtype=torch.bool)
    masks[0, 0, :2], masks[1, 0, :2], masks[2, 0, :2] = True, True, True
    masks[1, 0, 1, 3] = False
    offered = Candidates(masks, torch.tensor([[0.9], [0.5], [0.7], [0.8]]))
    points = torch.tensor([[0.5, 0.5], [1.5, 0.5], [0.5, 0.5], [3.5, 3.5]])
    categories = torch.tensor([1, 1, 2, 1])
    kept = torch.tensor([0, 2])
    into = _into(points, categories, offered, points[kept], categories[kept])
    # 1 lies in 0's mask; 2 is of another category; the mask of 3 is empty.
    assert into.tolist() == [0, 0, 2, -1]
    nothing = Candidates(masks[:0], offered.quality[:0])
    assert len(_into(points[:0], categories[:0], nothing, points[:0], categories[:0])) == 0


def test_a_higher_threshold_leaves_fewer_points(model, scenes) -> None:
    rules = {str(least): PeakRule(threshold=least) for least in (0.1, 0.5, 1.0)}
    before = model.peaks
    frame = quality_by_rule(model, scenes, rules)
    assert list(frame.index) == list(rules) and model.peaks is before
    assert frame["points"].is_monotonic_decreasing and frame["points"].iloc[2] >= 1


def test_self_story_is_what_the_loss_compares(model, scenes) -> None:
    scene = scenes[1]
    story = self_targets_trace(model, scene)
    assert set(story) == set(scene.label.categories.tolist())
    framed = model.segmenter.framing([scene.image], True)
    with torch.no_grad():
        maps = model.segmenter.extract_features(framed)
        said, cams = model.segmenter.decode(framed, maps), model.cam_head(maps, framed.padding)
    tags = torch.zeros(1, 5, dtype=torch.bool)
    tags[0, scene.label.categories] = True
    wanted = self_targets(said.classes[-1], said.embeddings[-1], said.features, tags, cams.size)
    claimed = {c: share for c, (_, share) in story.items() if share is not None}
    assert set(claimed) == set(wanted.category.tolist())
    ours = [
        torch.nn.functional.binary_cross_entropy(story[c][0], share) for c, share in claimed.items()
    ]
    theirs = self_loss(cams.maps, wanted, cams.valid)
    why = "one mean a category here; the model takes all categories at once"
    close(torch.stack(ours).mean(), theirs, why, rtol=1e-4)
