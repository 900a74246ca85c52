"""Photographs as the tables of scale `photo` read them: subsets, COCO's categories, splits."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.coco_reference import perfect_results
from wsisbook.experiments.mask_heads import (
    HeadResults,
    build_branch,
    build_unfetched,
    head_metrics,
    splits_of_heads,
)
from wsisbook.experiments.mask_rcnn import build_mask_rcnn, build_maskx
from wsisbook.experiments.partial_data import chosen_split, data_sets, instances_by_category
from wsisbook.experiments.settings import (
    HeadSpec,
    MaskHeadsConfig,
    MaskRcnnConfig,
    MaskXConfig,
    PartialDataConfig,
)
from wsisbook.experiments.wish_settings import WishConfig
from wsisbook.plan.dry_run_data import COCO_IDS, write_coco
from wsisbook.runs.spec import load_study
from wsislib.data.visual_genome.classes import COCO_NAMES
from wsislib.data.world import WorldDataset, WorldSpec
from wsislib.labels.splits import coco_voc_split, make_split

CONFIG = PartialDataConfig(
    data="coco",
    train_annotations="train.json",
    train_images="train",
    val_annotations="val.json",
    val_images="val",
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two files of 82 categories, COCO's among them; images 1 and 3 are of the subset "street"."""
    for seed, (name, images) in enumerate((("train", 4), ("val", 3))):
        file = tmp_path / f"{name}.json"
        write_coco(file, tmp_path / name, images, seed)
        document = json.loads(file.read_text())
        document["categories"] += [{"id": 91, "name": "plate"}, {"id": 92, "name": "bread"}]
        for image in document["images"]:
            image["subset"] = "street" if image["id"] in (1, 3) else "kitchen"
        document["annotations"][1]["category_id"] = 91  # of image 1
        file.write_text(json.dumps(document))
    monkeypatch.setenv("WSIS_DATA", str(tmp_path))
    return tmp_path


def test_everything_is_read_by_default(folder: Path) -> None:
    train, val = data_sets(CONFIG)
    assert (len(train), len(val), len(train.categories)) == (4, 3, 82)


def test_some_subsets_and_cocos_categories(folder: Path) -> None:
    config = replace(CONFIG, subsets=("street",), coco_categories=True)
    for dataset in data_sets(config):
        assert dataset.image_ids == (1, 3)
        assert tuple(category.name for category in dataset.categories) == COCO_NAMES
        assert len(dataset[0].label) == 7 and len(dataset[1].label) == 8  # of 8, one is a plate
        assert {a["category_id"] for a in dataset.ground_truth()["annotations"]} <= {*COCO_IDS}
    assert chosen_split(replace(config, split="voc"), 80) == coco_voc_split("voc")
    both = replace(CONFIG, subsets=("kitchen", "street"))
    assert data_sets(both)[0].image_ids == (1, 2, 3, 4)


def test_some_photographs_of_some_categories(folder: Path) -> None:
    train, val = data_sets(replace(CONFIG, only=("plate",)))
    assert train.image_ids == (1,)  # the only one with a plate
    assert len(val) == 3  # whoever finds a plate where there is none is wrong
    assert [category.name for category in train.categories] == ["plate"]
    assert {a["category_id"] for a in train.ground_truth()["annotations"]} == {91}
    fewer, more = (data_sets(replace(CONFIG, photographs=n))[0].image_ids for n in (2, 3))
    assert len(fewer) == 2 and set(fewer) < set(more)
    drawn = [replace(CONFIG, photographs=2, photograph_seed=seed) for seed in range(6)]
    others = {data_sets(config)[0].image_ids for config in drawn}
    assert len(others) > 1
    with pytest.raises(ValueError, match="only: no category 'plats'; did you mean 'plate'"):
        data_sets(replace(CONFIG, only=("plats",)))
    with pytest.raises(ValueError, match="photographs is 5, but only 4 hold an object"):
        data_sets(replace(CONFIG, photographs=5))


def test_start_weights_are_for_ones_own_photographs_alone() -> None:
    own = {"builder": "mask_rcnn_lite", "start": "ours", "photographs": 300}
    assert MaskRcnnConfig(**own).start == "ours"
    for odd in ({"photographs": 0}, {"builder": "mask_rcnn_lab"}):
        with pytest.raises(ValueError, match="start 'ours' .* a leak for a row that studies cheap"):
            MaskRcnnConfig(**{**own, **odd})
    with pytest.raises(ValueError, match="a leak"):
        WishConfig(builder="lite0", jitter=160, start="ours")


def test_photographs_are_brought_to_their_side_by_jitter() -> None:
    with pytest.raises(ValueError, match="set jitter to 160, not 0"):
        WishConfig(builder="lite0")
    with pytest.raises(ValueError, match="jitter_range is .2.0, 1.0."):
        WishConfig(jitter_range=(2.0, 1.0))


def test_what_the_file_does_not_have_is_named(folder: Path) -> None:
    with pytest.raises(ValueError, match="train.json: no image has 'strete'.*kitchen, street"):
        data_sets(replace(CONFIG, subsets=("street", "strete")))
    config, file = replace(CONFIG, coco_categories=True), folder / "train.json"
    document = json.loads(file.read_text())
    names = {category["name"]: category for category in document["categories"]}
    names["person"]["id"], names["bicycle"]["id"] = names["bicycle"]["id"], names["person"]["id"]
    file.write_text(json.dumps(document))
    with pytest.raises(ValueError, match="train.json: the ids of COCO's 80 .* not in COCO's order"):
        data_sets(config)
    names["cat"]["name"] = "kitty"
    file.write_text(json.dumps(document))
    with pytest.raises(ValueError, match="train.json: has no category 'cat'.*leave it out"):
        data_sets(config)


def test_a_split_by_frequency_follows_from_the_training_data(folder: Path) -> None:
    config = replace(CONFIG, split="by-frequency")
    train, _ = data_sets(config)
    instances = instances_by_category(train.ground_truth())
    assert sum(instances) == 4 * 8
    split = chosen_split(config, 82, train)
    assert split == chosen_split(config, 82)  # read where it is not given
    assert len(split.a) == len(split.b) == 41
    a, b = (sum(instances[c] for c in side) for side in (split.a, split.b))
    assert abs(a - b) <= 1
    back = chosen_split(replace(config, split="by-frequency-reversed"), 82, train)
    assert (back.a, back.b) == (split.b, split.a)
    with pytest.raises(ValueError, match="it has 82 categories, the data set 20"):
        chosen_split(config, 20, train)


def test_a_head_may_have_a_split_by_frequency_of_its_own(folder: Path) -> None:
    heads = {
        "one": {},
        "two": {"split": "by-frequency"},
        "three": {"split": "by-frequency-reversed"},
    }
    config = MaskHeadsConfig(
        data="coco", train_annotations="train.json", train_images="train", split="first",
        val_annotations="val.json", val_images="val", a_count=5, heads=heads,
    )  # fmt: skip
    train, _ = data_sets(config)
    splits = splits_of_heads(config, train)
    assert splits["one"].a == (0, 1, 2, 3, 4)
    assert (
        splits["two"].a
        == splits["three"].b
        == chosen_split(replace(config, split="by-frequency"), 82, train).a
    )


def test_the_settings_are_young_and_their_defaults_change_nothing() -> None:
    config = MaskRcnnConfig()
    assert (config.subsets, config.coco_categories, config.frequent) == ((), False, ())


def test_photo_tables_have_three_seeds_and_one_recipe_a_kind() -> None:
    study = load_study()
    for name in ("photo-detectors", "maskx-photo-heads", "maskx-photo", "maskx-photo-true-boxes"):
        assert list(study.table(name).scales) == ["photo"]
    assert study.scales["photo"].seeds == (0, 1, 2)


def test_frequent_categories_are_judged_on_either_side() -> None:
    truth = WorldDataset(WorldSpec(4), seed=1, count=8).ground_truth()
    ids = [category["id"] for category in truth["categories"]]
    found = [r for r in perfect_results(truth) if r["category_id"] != ids[2]]
    results = HeadResults(["one", "all"])
    boxes = [{k: v for k, v in r.items() if k != "segmentation"} for r in found]
    masks = [r["segmentation"] for r in found]
    results.add(boxes, {"one": masks, "all": masks})
    splits = dict.fromkeys(results.heads, make_split("half", (0, 1), 4))
    metrics = head_metrics(truth, results, splits, {"all"}, frequent=(1, 2))
    for kind in ("segm", "bbox"):
        numbers = {side: one["AP"] for side, one in metrics["one"][kind].items()}
        assert set(numbers) == {"all", "A", "B", "A_frequent", "B_frequent"}
        assert (numbers["A_frequent"], numbers["B_frequent"]) == pytest.approx((100, 0))
        assert (numbers["A"], numbers["B"]) == pytest.approx((100, 50))
        swapped = metrics["all"]["reversed"][kind]
        assert swapped["B_frequent"]["AP"] == pytest.approx(100)
        assert swapped["A_frequent"]["AP"] == pytest.approx(0)
    plain = head_metrics(truth, results, splits)
    assert set(plain["one"]["segm"]) == {"all", "A", "B"}  # as before without the setting


def test_builders_for_photographs_take_their_side_from_the_settings() -> None:
    settings = MaskRcnnConfig(builder="mask_rcnn_lite", photo_side=96)
    transfer = MaskXConfig(builder="maskx_rcnn_lite", photo_side=96, mlp_layers=1)
    heads = MaskHeadsConfig(builder="mask_rcnn_lite", photo_side=96)
    data = WorldDataset(WorldSpec(4), seed=1, count=2)
    whole, maskx = build_mask_rcnn(settings, 4, 0), build_maskx(transfer, data, 0)
    detector = build_unfetched(heads, 4, "class-agnostic", 0)
    for model in (whole, maskx, detector):
        assert (model.transform.min_size, model.transform.max_size) == ((96,), 96)
    assert whole.state_dict().keys() == detector.state_dict().keys()
    # A head side by side is the one of a model of its own.
    spec = HeadSpec(kind="transfer", mlp_layers=1)
    branch = build_branch(spec, heads, detector, None, 4, 0)
    own = maskx.mask.state_dict()
    for name, value in branch.state_dict().items():
        assert value.equal(own[name]), name
