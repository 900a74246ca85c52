"""Peaks step by step: what the page shows is what training does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.numeric import close
from wsisbook.experiments.wish_insight import cam_quality
from wsisbook.part0.panels import panels
from wsisbook.part2.tags_to_points import (
    FADED,
    STRONGEST,
    WARM,
    Heat,
    heat_grid,
    quality_by_rule,
    self_targets_trace,
    trace_peaks,
    warmed,
)
from wsislib.data.geometry import pairwise_mask_iou
from wsislib.data.sample import Label, LabelKind, Sample
from wsislib.data.world import WorldDataset, WorldSpec
from wsislib.losses.cams import self_loss, self_targets
from wsislib.models.sam.sam import Teacher
from wsislib.models.sam.tiny_sam import tiny_sam
from wsislib.models.wish.builders import wish_lab
from wsislib.models.wish.label_completion import add_pseudo_labels
from wsislib.models.wish.pseudo_points import PeakRule
from wsislib.viz.curves import Series
from wsislib.viz.palette import colour, rgb


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
        trace = trace_peaks(model, scene)
        framed = model.segmenter.framing([scene.image], True)
        cams = model.cam_head(model.segmenter.extract_features(framed), framed.padding)
        tags = Label(LabelKind.TAG, scene.label.categories.unique())
        (done,) = add_pseudo_labels(
            [Sample(scene.image, 1, tags)], cams, model.teacher, model.peaks
        )
        assert torch.equal(trace.points[trace.kept], done.label.points)
        assert torch.equal(trace.peaks.categories[trace.kept], done.label.categories)
        assert all(float(h.min()) >= 0 and float(h.max()) <= 1 for h in trace.heights.values())
        frame = trace.frame(WorldDataset(WorldSpec(categories=5), seed=3, count=1).categories)
        assert (frame["becomes"] == "a pseudo point").sum() == len(done.label)
        assert trace.probabilities.shape == (5,)


def test_hits_are_those_that_cam_quality_counts(model, scenes) -> None:
    trace = trace_peaks(model, scenes[0])
    counted = cam_quality(model, scenes[:1])
    kept = trace.kept
    assert counted["points"] == int(kept.sum())
    assert counted["hits"] == pytest.approx(float(trace.hits[kept].float().mean()))


def test_a_peak_is_merged_into_one_that_stays(model, scenes) -> None:
    merged = 0
    model.peaks, before = PeakRule(overlap=0.05), model.peaks
    for trace in [trace_peaks(model, scene) for scene in scenes]:
        masks = trace.masks.flatten(1)
        iou = pairwise_mask_iou(masks, masks)
        for peak, into in enumerate(trace.into.tolist()):
            if into < 0:
                assert not masks[peak].any()
            elif into != peak:
                merged += 1
                assert trace.kept[into]
                assert trace.peaks.categories[into] == trace.peaks.categories[peak]
                rivals = trace.kept & (trace.peaks.categories == trace.peaks.categories[peak])
                assert iou[peak, into] == iou[peak][rivals].max() > 0.05
    model.peaks = before
    assert merged


def test_a_higher_threshold_leaves_fewer_points(model, scenes) -> None:
    rules = {str(least): PeakRule(threshold=least) for least in (0.1, 0.5, 1.0)}
    before = model.peaks
    frame = quality_by_rule(model, scenes, rules)
    assert list(frame.index) == list(rules) and model.peaks is before
    assert frame["points"].is_monotonic_decreasing and frame["points"].iloc[2] >= 1


def test_self_targets_are_what_the_loss_compares(model, scenes) -> None:
    scene = scenes[1]
    traced = self_targets_trace(model, scene)
    assert set(traced) == set(scene.label.categories.tolist())
    framed = model.segmenter.framing([scene.image], True)
    with torch.no_grad():
        maps = model.segmenter.extract_features(framed)
        said, cams = model.segmenter.decode(framed, maps), model.cam_head(maps, framed.padding)
    tags = torch.zeros(1, 5, dtype=torch.bool)
    tags[0, scene.label.categories] = True
    wanted = self_targets(said.classes[-1], said.embeddings[-1], said.features, tags, cams.size)
    claimed = {c: share for c, (_, share) in traced.items() if share is not None}
    assert set(claimed) == set(wanted.category.tolist())
    ours = [
        torch.nn.functional.binary_cross_entropy(traced[c][0], share)
        for c, share in claimed.items()
    ]
    theirs = self_loss(cams.maps, wanted, cams.valid)
    why = "one mean a category here; the model takes all categories at once"
    close(torch.stack(ours).mean(), theirs, why, rtol=1e-4)


def test_a_map_is_spread_over_the_whole_image() -> None:
    pixels = np.full((6, 8, 3), 0.5, dtype=np.float32)
    heights = np.array([[0.0, 1.0], [2.0, -1.0], [0.5, 0.0]])
    shown = warmed(pixels, heights)
    hot = (1 - STRONGEST) * 0.5 + STRONGEST * rgb(WARM)
    assert np.allclose(shown[:2, 4:], hot) and np.allclose(shown[2:4, :4], hot)
    assert np.allclose(shown[:2, :4], 0.5) and np.allclose(shown[2:4, 4:], 0.5)
    coloured = np.zeros((2, 2, 3), dtype=np.float32)
    coloured[..., 0] = 0.9
    pale = warmed(coloured, np.zeros((1, 1)))
    assert pale[0, 0] == pytest.approx([FADED * 0.9 + (1 - FADED) * 0.3] + 2 * [0.55 * 0.3])


def test_a_grid_has_free_places_and_all_marks() -> None:
    image = torch.rand(3, 10, 12)
    mask = np.zeros((1, 10, 12), dtype=bool)
    mask[0, 2:5, 3:6] = True
    full = Heat(image, np.ones((2, 3)), mask, np.array([[3.0, 4.0]]), np.array([[1.0, 1.0]]), "a")
    figure = heat_grid([[full, None], [Heat(image)]], ["one", "two"])
    assert len(figure.axes) == 4 and figure.axes[0].get_title() == "a"
    marks = [c for c in figure.axes[0].collections if len(c.get_offsets())]
    assert [c.get_offsets().tolist() for c in marks[-2:]] == [[[1.0, 1.0]], [[3.0, 4.0]]]
    assert not figure.axes[1].images and not figure.axes[3].images
    assert figure._repr_png_()[:4] == b"\x89PNG"
    for rows, titles in (([], []), ([[None]], []), ([[full]], ["a", "b"])):
        with pytest.raises(ValueError, match="give a panel at least"):
            heat_grid(rows, titles)


def test_one_name_has_one_colour_in_all_plots() -> None:
    first = [Series("a", [1, 2], [0.5, 0.7]), Series("b", [1, 2], [0.1, float("nan")])]
    figure = panels({"x": first, "y": [Series("b", [1], [3.0])], "z": []}, "step", dots=True)
    tones = [[one.get_color() for one in axes.lines] for axes in figure.axes]
    assert tones[0][:2] == [colour(0), colour(1)] and tones[1] == [colour(1)] and tones[2] == []
    assert [axes.get_title() for axes in figure.axes] == ["x", "y", "z"]
    assert figure.axes[2].texts[0].get_text() == "not logged"
    assert figure.axes[0].get_ylim()[0] == 0 and len(figure.legends) == 1
    with pytest.raises(ValueError, match="no plot"):
        panels({}, "step")
