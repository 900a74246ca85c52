"""Scenes labelled at every level."""

import pytest
import torch
from pycocotools import mask as coco_mask

from wsislib.data.world import World, WorldSpec
from wsislib.data.world.levels import GROUP, OBJECT, PART, LevelScenes

SPEC = WorldSpec(categories=80, factor_set="teacher")


def test_every_level_is_there_and_is_the_scenes_own() -> None:
    scenes = LevelScenes(SPEC, seed=3, count=12, minimum_pixels=1)
    world, seen = World(SPEC), set()
    for index in range(len(scenes)):
        sample = scenes[index].check(category_count=3)
        scene = world.scene(3, index)
        masks, levels, _ = scene.levels
        assert torch.equal(sample.label.masks, torch.from_numpy(masks))
        assert sample.label.categories.tolist() == levels.tolist()
        assert torch.equal(
            (sample.image * 255).round().byte(), torch.from_numpy(scene.image).permute(2, 0, 1)
        )
        seen |= set(levels.tolist())
    assert seen == {PART, OBJECT, GROUP}


def test_small_masks_are_left_out() -> None:
    every = LevelScenes(SPEC, seed=3, count=30, minimum_pixels=1)
    large = LevelScenes(SPEC, seed=3, count=30, minimum_pixels=200)
    for index in range(30):
        areas = every[index].label.masks.flatten(1).sum(1)
        assert len(large[index].label) == int((areas >= 200).sum())


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools
def test_truth_and_fingerprint() -> None:
    scenes = LevelScenes(SPEC, seed=3, count=3)
    truth = scenes.ground_truth()
    assert [category["name"] for category in truth["categories"]] == ["part", "object", "group"]
    masks = [mask for index in range(3) for mask in scenes[index].label.masks]
    assert len(truth["annotations"]) == len(masks)
    for annotation, mask in zip(truth["annotations"], masks, strict=True):
        decoded = torch.from_numpy(coco_mask.decode(annotation["segmentation"])).bool()
        assert torch.equal(decoded, mask)
    same = LevelScenes(SPEC, seed=3, count=3).fingerprint()
    assert scenes.fingerprint() == same
    others = [
        LevelScenes(SPEC, seed=4, count=3),
        LevelScenes(SPEC, seed=3, count=4),
        LevelScenes(WorldSpec(factor_set="study"), seed=3, count=3),
        LevelScenes(SPEC, seed=3, count=3, minimum_pixels=17),
    ]
    assert same not in {other.fingerprint() for other in others}
