"""What changed in the data of a training, said by image and field."""

import json
import re
import shutil

import pytest

from tests.photos import own_folder
from wsislib.data.photographs.coco import CocoDataset
from wsislib.photos.data_record import describe_change, record_of, write_record


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return own_folder.draw(tmp_path_factory.mktemp("own") / "data", 4)


def repaint(folder):
    image = sorted((folder / "images").iterdir())[1]
    other = sorted((folder / "images").iterdir())[2]
    shutil.copy(other, image)


def edit_first(**fields):
    return lambda document: document["annotations"][0].update(fields)


def at_image(document, place):
    return document["images"][place]["id"]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (edit_first(bbox=[1, 1, 9, 9]), r"^'bbox' of 1 image changed \(1 "),
        (edit_first(iscrowd=1), r"^'iscrowd' of 1 image changed"),
        (lambda d: d["annotations"].pop(0), r"^the number of annotations of 1 image changed \(1 "),
        (lambda d: d["images"].pop(), r"^1 image removed \(4 .*\)$"),
        (lambda d: d["categories"][0].update(name="x"), r"^categories new: 1 'x'; .*gone: 1 "),
        (lambda d: d["images"].reverse(), "^the order of the images changed$"),
        (lambda d: d, "^$"),
    ],
)
def test_changes_are_named(folder, tmp_path, edit, message):
    images = folder / "images"
    write_record(tmp_path, record_of(CocoDataset(folder / "annotations.json", images)))
    document = json.loads((folder / "annotations.json").read_text())
    edit(document)
    kept = {one["id"] for one in document["images"]}
    document["annotations"] = [a for a in document["annotations"] if a["image_id"] in kept]
    (tmp_path / "other.json").write_text(json.dumps(document))
    said = describe_change(tmp_path, record_of(CocoDataset(tmp_path / "other.json", images)))
    assert re.search(message, said), said


def test_a_refused_resume_says_what_changed(folder, tmp_path):
    place, out = tmp_path / "data", tmp_path / "m"
    shutil.copytree(folder, place)
    own_folder.train(place, out)
    with pytest.raises(ValueError, match=r"begun with other data: 3 images removed \(2 .*--out"):
        own_folder.train(place, out, first=1)
    repaint(place)
    with pytest.raises(ValueError, match=r"other data: the picture of 1 image changed \(2 "):
        own_folder.train(place, out)
    (out / "data.json").unlink()  # as of an older version
    with pytest.raises(ValueError, match="other data: no record tells what changed"):
        own_folder.train(place, out)
    (out / "data.json").write_text("[]")
    with pytest.raises(ValueError, match="other data: no record tells what changed"):
        own_folder.train(place, out)


def test_other_categories_are_named(folder, tmp_path):
    own_folder.train(folder, tmp_path / "m")
    other = own_folder.edited(folder, lambda d: d["categories"][0].update(name="renamed"))
    with pytest.raises(ValueError, match="other categories: categories new: 1 'renamed'; .*gone"):
        own_folder.train(folder, tmp_path / "m", annotations=other)
