"""Visual Genome against a miniature whose boxes, classes and parts are written down."""

import json
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.miniatures import visual_genome as mini
from wsislib.data.sample import Dataset, LabelKind
from wsislib.data.visual_genome.dataset import VisualGenome, VisualGenomeDataset
from wsislib.data.visual_genome.files import read_images, read_objects
from wsislib.engine.evaluate import coco_ap


def clipped(x: float, y: float, w: float, h: float) -> list[float]:
    return [max(x, 0), max(y, 0), min(x + w, mini.WIDTH), min(y + h, mini.HEIGHT)]


def expected(image_id: int) -> list[tuple[str, list[float]]]:
    """Synset and box of each object of an image that a label holds."""
    kept = []
    for synsets, *xywh in mini.OBJECTS.get(image_id, []):
        box = clipped(*xywh)
        if len(synsets) == 1 and synsets[0] in mini.LAYOUT and box[0] < box[2] and box[1] < box[3]:
            kept.append((synsets[0], box))
    return kept


def parts_of(genome: VisualGenome) -> list[VisualGenomeDataset]:
    return [genome.dataset("train"), genome.dataset("val"), genome.dataset("test")]


def test_class_list_has_coco_first_and_the_rest_sorted(genome_root: Path) -> None:
    genome = mini.load(genome_root)
    assert tuple(category.name for category in genome.categories) == mini.LAYOUT
    assert [category.id for category in genome.categories] == list(range(1, len(mini.LAYOUT) + 1))
    assert genome.coco_count == len(mini.NAMES)
    # Two COCO synsets are not among the most frequent: there are that many more categories.
    assert len(mini.LAYOUT) == mini.CLASS_COUNT + 2


def test_images_fall_into_three_parts(genome_root: Path) -> None:
    train, val, test = parts_of(mini.load(genome_root))
    assert val.image_ids == (2, 8)
    assert test.image_ids == (3, 7)  # the last two without coco_id, in the order of the file
    assert train.image_ids == (5, 9)
    assert mini.load(genome_root, test_count=0).dataset("test").image_ids == ()
    assert mini.load(genome_root, test_count=0).dataset("train").image_ids == (5, 9, 3, 7)


def test_every_label_holds_the_boxes_of_the_file(genome_root: Path) -> None:
    genome = mini.load(genome_root)
    for dataset in parts_of(genome):
        assert isinstance(dataset, Dataset)
        for index, image_id in enumerate(dataset.image_ids):
            sample = dataset[index].check(len(dataset.categories))
            wanted = expected(image_id)
            assert sample.image_id == image_id
            assert sample.label.kind == LabelKind.BOX
            assert sample.label.masks is None
            names = [mini.LAYOUT[c] for c in sample.label.categories.tolist()]
            assert names == [name for name, _ in wanted]
            assert sample.label.boxes.tolist() == [box for _, box in wanted]
            pixels = torch.from_numpy(mini.pixels(image_id)).permute(2, 0, 1).float() / 255
            assert torch.equal(sample.image, pixels)


def test_every_object_is_kept_or_counted(genome_root: Path) -> None:
    genome = mini.load(genome_root)
    assert genome.dropped == {
        "no synset": 1,
        "several synsets": 1,
        "empty box": 2,
        "rarer synset": 3,
    }
    kept = sum(len(expected(image_id)) for image_id in mini.IMAGES)
    assert genome.kept == kept
    total = sum(len(members) for members in mini.OBJECTS.values())
    assert genome.kept + sum(genome.dropped.values()) == total


def test_order_of_the_file_moves_nothing(genome_root: Path, tmp_path: Path) -> None:
    other = mini.write(tmp_path / "other", mini.objects()[::-1])
    first, second = mini.load(genome_root), mini.load(other)
    assert first.categories == second.categories
    for one, two in zip(parts_of(first), parts_of(second), strict=True):
        assert one.ground_truth() == two.ground_truth()
        assert one.fingerprint() == two.fingerprint()


def test_counts_are_those_of_a_plain_counter(genome_root: Path) -> None:
    table = read_objects(genome_root / "objects.json", read_images(genome_root / "image_data.json"))
    names = (s for members in mini.OBJECTS.values() for synsets, *_ in members for s in synsets)
    assert dict(zip(table.synsets, table.counts.tolist(), strict=True)) == Counter(names)
    assert list(table.synsets) == sorted(table.synsets)
    assert table.boxes.dtype == np.float32
    assert table.synset.dtype == np.int32


sides = st.floats(-50, 90, allow_nan=False, width=32)
some = st.lists(st.sampled_from(["a.n.01", "b.n.01"]), max_size=2)
rows = st.tuples(some, sides, sides, sides, sides)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from(list(mini.IMAGES)), st.lists(rows, max_size=4)))
def test_any_boxes_end_up_inside_their_image_or_counted(members: dict[int, list]) -> None:
    records = [
        {
            "image_id": image_id,
            "objects": [
                {"object_id": k + 1, "synsets": s, "x": x, "y": y, "w": w, "h": h}
                for k, (s, x, y, w, h) in enumerate(entries)
            ],
        }
        for image_id, entries in members.items()
    ]
    with tempfile.TemporaryDirectory() as folder:
        for name, content in (("o.json", records), ("i.json", mini.image_data())):
            (Path(folder) / name).write_text(json.dumps(content))
        images = read_images(Path(folder) / "i.json")
        table = read_objects(Path(folder) / "o.json", images)
    assert len(table.boxes) + sum(table.dropped.values()) == sum(map(len, members.values()))
    assert table.starts.tolist()[-1] == len(table.boxes)
    assert (table.boxes[:, :2] >= 0).all()
    assert (table.boxes[:, :2] < table.boxes[:, 2:]).all()
    assert (table.boxes[:, 2:] <= [mini.WIDTH, mini.HEIGHT]).all()
    for place, image_id in enumerate(images):
        single = [(s[0], clipped(*b)) for s, *b in members.get(image_id, []) if len(s) == 1]
        kept = [
            (name, b)
            for name, b in ((n, [float(np.float32(v)) for v in b]) for n, b in single)
            if b[0] < b[2] and b[1] < b[3]
        ]
        own = slice(table.starts[place], table.starts[place + 1])
        assert [table.synsets[s] for s in table.synset[own]] == [name for name, _ in kept]
        assert table.boxes[own].tolist() == [box for _, box in kept]


def test_ground_truth_has_boxes_only_and_perfect_boxes_score_100(genome_root: Path) -> None:
    dataset = mini.load(genome_root).dataset("train")
    truth = dataset.ground_truth()
    assert json.loads(json.dumps(truth)) == truth
    assert [record["id"] for record in truth["images"]] == list(dataset.image_ids)
    assert [a["id"] for a in truth["annotations"]] == list(range(1, 12))
    assert not any("segmentation" in annotation for annotation in truth["annotations"])
    results = [
        {**{key: a[key] for key in ("image_id", "category_id", "bbox")}, "score": 0.9}
        for a in truth["annotations"]
    ]
    assert pytest.approx(100) == coco_ap(truth, results, iou_type="bbox").AP


def test_fingerprint_changes_with_content_only(genome_root: Path, tmp_path: Path) -> None:
    first = mini.load(genome_root).dataset("train").fingerprint()
    records = mini.objects()
    (genome_root / "objects.json").write_text(json.dumps(records, indent=1))
    assert mini.load(genome_root).dataset("train").fingerprint() == first
    seen = {first, mini.load(genome_root).dataset("val").fingerprint()}
    seen.add(mini.load(genome_root, class_count=7).dataset("train").fingerprint())
    records[1]["objects"][0]["x"] += 1
    seen.add(mini.load(mini.write(tmp_path / "moved", records)).dataset("train").fingerprint())
    mini.write(genome_root)
    photographs = genome_root / "VG_100K"
    (photographs / "9.png").write_bytes((photographs / "5.png").read_bytes())
    seen.add(mini.load(genome_root).dataset("train").fingerprint())
    assert len(seen) == 5


def test_an_own_mapping_goes_first(genome_root: Path, tmp_path: Path) -> None:
    file = tmp_path / "mapping.json"
    file.write_text(json.dumps({"orange": "orange.n.02", "dog": "dog.n.03"}))
    names = [category.name for category in mini.load(genome_root, mapping_file=file).categories]
    assert names[2] == "dog.n.03"
    assert names[5] == "orange.n.02"
    assert "orange.n.01" not in names
    assert names[6:] == sorted(set(mini.FREQUENT) - set(names[:6]))
