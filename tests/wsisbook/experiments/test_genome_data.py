"""Visual Genome as settings name it: files, parts, masks of COCO's categories, missing files."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from wsisbook.experiments.partial_data import (
    chosen_split,
    coco_masks,
    data_sets,
    named_split,
)
from wsisbook.experiments.settings import PartialDataConfig, data_files
from wsisbook.plan.dry_run_data import write_coco, write_genome
from wsislib.atomic import read_json, write_json
from wsislib.data.sample import LabelKind
from wsislib.data.visual_genome.classes import COCO_NAMES, plain_name

CONFIG = PartialDataConfig(
    data="visual-genome",
    genome="visual-genome",
    genome_test_count=2,
    categories=100,
    train_annotations="coco/train.json",
    train_images="coco/train",
    val_annotations="coco/val.json",
    split="first",
    a_count=80,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WSIS_DATA", str(tmp_path))
    write_coco(tmp_path / "coco/train.json", tmp_path / "coco/train", 2, seed=0)
    write_coco(tmp_path / "coco/val.json", tmp_path / "coco/val", 2, seed=1)
    write_genome(tmp_path / "visual-genome", images=3, coco_val_ids=[1, 2], listed=100, tests=2)
    return tmp_path


def test_parts_categories_and_labels(folder: Path) -> None:
    train, val = data_sets(CONFIG)
    assert (len(train), len(val)) == (3, 2)
    assert len(train.categories) == 101, "one of COCO's synsets is not among the most frequent"
    assert val.categories == train.categories
    assert plain_name(train.categories[0].name) == "person"
    assert {train[i].label.kind for i in range(3)} == {LabelKind.BOX}
    with_coco = {r["coco_id"] for r in read_json(folder / "visual-genome/image_data.json")}
    assert with_coco == {None, 1, 2}
    split = chosen_split(CONFIG, 101)
    assert split.a == tuple(range(80)) and len(split.b) == 21


def test_masks_are_those_of_the_first_categories(folder: Path) -> None:
    masks, genome = coco_masks(CONFIG), data_sets(CONFIG)[0]
    assert [category.name for category in masks.categories] == list(COCO_NAMES)
    # "car" of COCO is index 2; so is the synset that stands for it in Visual Genome.
    assert plain_name(genome.categories[COCO_NAMES.index("car")].name) == "car"
    label = masks[0].label
    assert label.kind == LabelKind.MASK and bool(label.masks.flatten(1).any(1).all())
    assert int(torch.cat([masks[i].label.categories for i in range(2)]).max()) < 80


def test_the_files_of_a_row_are_listed_for_its_plan(folder: Path) -> None:
    files = data_files(CONFIG)
    assert set(files) == {
        *(
            f"visual-genome/{n}"
            for n in ("objects.json", "image_data.json", "VG_100K", "VG_100K_2")
        ),
        "coco/val.json",
        "coco/train.json",
        "coco/train",
    }
    assert all((folder / name).exists() for name in files)


@pytest.mark.parametrize("gone", ["visual-genome/objects.json", "coco/val.json", "coco/train.json"])
def test_a_missing_file_is_named_before_anything_is_read(folder: Path, gone: str) -> None:
    (folder / gone).unlink()
    (folder / "visual-genome/image_data.json").write_text("not read")
    with pytest.raises(ValueError, match=rf"not in .*: {gone}\. Visual Genome .* WSIS_DATA"):
        data_sets(CONFIG)


def test_all_missing_files_are_named_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSIS_DATA", str(tmp_path))
    with pytest.raises(ValueError) as error:
        data_sets(CONFIG)
    for name in data_files(CONFIG):
        assert name in str(error.value)
    with pytest.raises(ValueError, match="train_images is empty; name the file"):
        data_sets(replace(CONFIG, train_images=""))


def test_masks_of_other_categories_are_refused(folder: Path) -> None:
    file = folder / "coco/train.json"
    content = read_json(file)
    content["categories"][3]["name"] = "motorbike"
    write_json(file, content)
    with pytest.raises(ValueError, match="not COCO's 80 .*'motorbike' is not where it should be"):
        coco_masks(CONFIG)


def test_the_frequent_ones_of_a_world_are_in_a() -> None:
    from wsislib.data.world import World, WorldSpec

    config = PartialDataConfig(categories=120, a_count=12, split="frequent")
    split = chosen_split(config, 120)
    frequency = World(WorldSpec(120)).table.frequency
    assert len(split.a) == 12 and len(split) == 120
    assert min(frequency[list(split.a)]) > max(frequency[list(split.b)])
    with pytest.raises(ValueError, match="'frequent' is for the world, .* use 'first'"):
        chosen_split(replace(CONFIG, split="frequent"), 101)
    with pytest.raises(ValueError, match="known: world, .*frequent, first, by-frequency"):
        named_split("frequnt", 3, 0, 6)


def test_the_largest_world_has_3000_categories_that_share_every_factor_with_a() -> None:
    from wsislib.data.world import World, WorldSpec

    config = PartialDataConfig(categories=3000, a_count=80, split="frequent")
    world, split = World(WorldSpec(3000)), chosen_split(config, 3000)
    assert len({tuple(row) for row in world.table.values.tolist()}) == 3000
    assert len({category.name for category in world.categories}) == 3000
    assert world.table.levels == (8, 10, 5, 3, 3)
    assert not world.unseen_counts(split.a).any()
    distance = world.nearest_distance(split.a)[list(split.b)]
    assert {int(d) for d in distance} == {1, 2, 3}
    assert (distance == 1).sum() > 1000 and (distance == 2).sum() > 1000
