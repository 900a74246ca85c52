"""Visual Genome: missing, broken and ill-fitting files are named."""

import json
from pathlib import Path

import pytest

from tests.miniatures import visual_genome as mini
from wsislib.data.visual_genome.dataset import VisualGenome, read_coco_ids


def test_coco_ids_from_a_coco_file_or_a_list(tmp_path: Path) -> None:
    coco, plain, wrong = (tmp_path / name for name in ("coco.json", "plain.json", "wrong.json"))
    coco.write_text(json.dumps({"images": [{"id": 900}, {"id": 4}]}))
    plain.write_text("[900, 4]")
    assert read_coco_ids(coco) == read_coco_ids(plain) == {900, 4}
    for content in ("{}", "[]", '["900"]', "7", "[[1]]", '{"images": [1]}', "[true]"):
        wrong.write_text(content)
        with pytest.raises(ValueError, match=r"wrong\.json: must be a COCO JSON file"):
            read_coco_ids(wrong)
    with pytest.raises(ValueError, match=r"none\.json: cannot be read"):
        read_coco_ids(tmp_path / "none.json")


def test_missing_files_are_named_together(genome_root: Path) -> None:
    (genome_root / "objects.json").unlink()
    for image in (genome_root / "VG_100K_2").iterdir():
        image.unlink()
    (genome_root / "VG_100K_2").rmdir()
    with pytest.raises(ValueError, match=r"Visual Genome lacks objects\.json, VG_100K_2; unpack"):
        mini.load(genome_root)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("x", "1", r"image 2, object 101: 'x, y, w, h' holds '1'"),
        ("w", None, r"image 2, object 101: 'x, y, w, h' holds None"),
        ("h", float("nan"), r"objects\.json, after 0 records: holds NaN"),
        ("h", 1e12, r"image 2, object 101: .* beyond any image"),
        ("synsets", "person.n.01", r"object 101: 'synsets' is 'person\.n\.01'.* 1\.2 or later"),
        ("synsets", None, r"object 101: 'synsets' is None"),
        ("synsets", [3], r"object 101: 'synsets' is \[3\]"),
        ("object_id", 102, r"image 2, object 102: stands in its image twice"),
        ("object_id", None, r"image 2, entry 0: 'object_id' is None"),
    ],
)
def test_a_broken_object_is_one_error(
    tmp_path: Path, field: str, value: object, message: str
) -> None:
    records = mini.objects()
    records[0]["objects"][0][field] = value
    with pytest.raises(ValueError, match=message) as caught:
        mini.load(mini.write(tmp_path, records))
    assert str(tmp_path / "objects.json") in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("image_id", 2, r"image 2: stands in the file twice"),
        ("image_id", 0, r"a record: 'image_id' is 0"),
        ("image_id", True, r"a record: 'image_id' is True"),
        ("width", 0, r"image 5: 'width' is 0"),
        ("height", 2**40, r"image 5: 40 x \d+ is more than"),
        ("url", "https://x/../objects.json", r"image 5: 'url' is .* must end in VG_100K"),
        ("url", "VG_100K/a/b.jpg", r"image 5: 'url'"),
        ("url", None, r"image 5: 'url' is None"),
        ("coco_id", "900", r"image 5: 'coco_id' is '900'"),
    ],
)
def test_a_broken_image_record_is_one_error(
    tmp_path: Path, field: str, value: object, message: str
) -> None:
    records = mini.image_data()
    records[0][field] = value
    with pytest.raises(ValueError, match=message) as caught:
        mini.load(mini.write(tmp_path, None, records))
    assert str(tmp_path / "image_data.json") in str(caught.value)


def test_both_files_must_be_of_one_release(tmp_path: Path) -> None:
    records = mini.objects()
    with pytest.raises(ValueError, match="image 2: stands in the file twice"):
        mini.load(mini.write(tmp_path, [*records, records[0]]))
    with pytest.raises(ValueError, match=r"image 77: is not in image_data\.json"):
        mini.load(mini.write(tmp_path, [*records, {"image_id": 77, "objects": []}]))
    with pytest.raises(ValueError, match="image 2: 'objects' is no list"):
        mini.load(mini.write(tmp_path, [{"image_id": 2}]))
    with pytest.raises(ValueError, match="image 2, entry 0: is no object"):
        mini.load(mini.write(tmp_path, [{"image_id": 2, "objects": [5]}]))
    with pytest.raises(ValueError, match="holds no image"):
        mini.load(mini.write(tmp_path, records, []))


def test_wrong_settings_are_refused(genome_root: Path) -> None:
    with pytest.raises(ValueError, match="99 classes wanted of 13 synsets"):
        mini.load(genome_root, class_count=99)
    with pytest.raises(ValueError, match="3 images are not in COCO, the test part wants 4"):
        mini.load(genome_root, test_count=4)
    with pytest.raises(ValueError, match="no part 'tset'; use train, val, test"):
        mini.load(genome_root).dataset("tset")
    with pytest.raises(ValueError, match="no image has a 'coco_id' among the 1 ids"):
        VisualGenome(genome_root, [1], class_count=8, test_count=2, coco_names=mini.NAMES)
    with pytest.raises(ValueError, match=r"objects\.json: COCO categories without a synset: zebra"):
        mini.load(genome_root, coco_names=(*mini.NAMES, "zebra"))


def test_a_photograph_that_does_not_fit_is_named(genome_root: Path) -> None:
    dataset = mini.load(genome_root).dataset("train")
    (genome_root / "VG_100K" / "5.png").unlink()
    with pytest.raises(ValueError, match=r"Visual Genome, image 5: .*5\.png: no such image"):
        dataset[0]
    records = mini.image_data()
    records[2]["width"] = 41
    dataset = mini.load(mini.write(genome_root, None, records)).dataset("train")
    with pytest.raises(ValueError, match=r"image 9: .*9\.png has 40 x 30 .* says 41 x 30"):
        dataset[1]
