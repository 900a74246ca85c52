"""The file that is being labelled: never half-written, never half-labelled, always undoable."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.annotate.folder import SIZE, make_folder
from wsislib.annotate.image_labels import ImageLabels
from wsislib.annotate.label_file import LabelFile
from wsislib.data.photographs.coco import CocoDataset
from wsislib.data.sample import LabelKind

NAMES = ["rose", "thistle"]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "images")


def opened(images: Path, names=NAMES) -> LabelFile:
    return LabelFile(images.parent / "labels.json", images, names)


def boxed(labels: LabelFile, name: str, **more) -> ImageLabels:
    entry = {"id": labels.next_entry_id(), "category_id": 1, "bbox": [5, 6, 20, 10], **more}
    return labels.change(labels.work(name).with_entry(entry))


def document(labels: LabelFile) -> dict:
    return json.loads(labels.path.read_text())


def test_nothing_is_written_before_the_first_change(images):
    labels = opened(images)
    assert labels.files == ("a.png", "b.png", "c.png")
    assert [category.name for category in labels.categories] == NAMES
    assert not labels.path.exists()


def test_a_half_labelled_image_is_no_image_to_learn_from(images):
    labels = opened(images)
    boxed(labels, "b.png")
    assert document(labels)["images"] == document(labels)["annotations"] == []
    [draft] = document(labels)["drafts"]
    assert draft["file_name"] == "b.png" and len(draft["annotations"]) == 1
    labels.change(replace(labels.work("b.png"), finished=True))
    assert "drafts" not in document(labels)
    dataset = CocoDataset(labels.path, images)
    assert dataset.image_ids == (1,)
    label = dataset[0].label
    assert label.kind == LabelKind.BOX and label.boxes.tolist() == [[5, 6, 25, 16]]


def test_an_image_with_nothing_in_it_is_learnt_as_empty(images):
    labels = opened(images)
    labels.change(replace(labels.work("c.png"), finished=True))
    assert len(CocoDataset(labels.path, images)[0].label) == 0


def test_what_was_labelled_is_gone_on_with(images):
    first = opened(images)
    boxed(first, "a.png", seconds=3.5)
    first.change(replace(first.work("a.png"), finished=True, seconds=2.0))
    boxed(first, "b.png")
    second = opened(images, [])
    assert second.work("a.png") == first.work("a.png")
    assert second.work("b.png") == first.work("b.png")
    assert second.next_entry_id() == 3
    assert not second.can_undo
    boxed(second, "c.png")
    assert [work.id for work in second.all_works()] == [1, 2, 3]


def test_other_tools_fields_are_kept(images):
    path = images.parent / "labels.json"
    image = {"id": 7, "file_name": "a.png", "width": 60, "height": 40, "license": 2}
    entry = {
        "id": 9,
        "image_id": 7,
        "category_id": 4,
        "bbox": [1, 2, 3, 4],
        "area": 12,
        "iscrowd": 0,
    }
    category = {"id": 4, "name": "rose", "supercategory": "plant"}
    whole = {
        "info": {"year": 2026},
        "images": [image],
        "annotations": [entry],
        "categories": [category],
    }
    path.write_text(json.dumps(whole))
    labels = opened(images)
    boxed(labels, "b.png")
    after = document(labels)
    assert after["info"] == {"year": 2026} and after["images"] == [image]
    assert after["annotations"] == [entry] and after["categories"][0] == category
    assert after["categories"][1] == {"id": 5, "name": "thistle"}
    assert after["drafts"][0]["annotations"][0]["id"] == 10


def test_undo_and_redo_go_through_every_change(images):
    labels = opened(images)
    boxed(labels, "a.png")
    boxed(labels, "b.png")
    done = labels.change(replace(labels.work("b.png"), finished=True))
    states = [document(labels)]
    for _ in range(3):
        labels.undo()
        states.append(document(labels))
    assert labels.undo() is None and not labels.can_undo
    assert states[-1]["images"] == [] and "drafts" not in states[-1]
    for expected in reversed(states[:-1]):
        assert labels.redo() in ("a.png", "b.png")
        assert document(labels) == expected
    assert labels.redo() is None and labels.work("b.png") == done


def test_a_new_change_ends_what_could_be_done_again(images):
    labels = opened(images)
    boxed(labels, "a.png")
    labels.undo()
    boxed(labels, "b.png")
    assert not labels.can_redo and labels.work("a.png").entries == ()


def test_a_number_is_never_given_twice(images):
    labels = opened(images)
    boxed(labels, "a.png")
    labels.undo()
    assert labels.next_entry_id() == 2  # redo may bring number 1 back


def test_a_file_that_someone_else_wrote_is_not_overwritten(images):
    labels, other = opened(images), opened(images)
    boxed(labels, "a.png")
    boxed_by_other = pytest.raises(ValueError, match="changed on disk since it was opened")
    with boxed_by_other:
        boxed(other, "b.png")
    assert other.work("b.png").entries == () and not other.can_undo
    assert [draft["file_name"] for draft in document(labels)["drafts"]] == ["a.png"]


def test_a_disk_that_takes_nothing_loses_nothing(images, monkeypatch):
    labels = opened(images)
    boxed(labels, "a.png")
    before = labels.path.read_bytes()

    def full(path, text):
        raise OSError(28, "could not write (No space left on device)", str(path))

    monkeypatch.setattr("wsislib.annotate.label_file.atomic_write", full)
    with pytest.raises(OSError, match="No space"):
        boxed(labels, "b.png")
    with pytest.raises(OSError, match="No space"):
        labels.undo()
    with pytest.raises(OSError, match="No space"):
        labels.add_category("lily")
    assert labels.path.read_bytes() == before
    assert labels.work("b.png").entries == () and len(labels.work("a.png").entries) == 1
    assert [category.name for category in labels.categories] == NAMES
    monkeypatch.undo()
    assert labels.undo() == "a.png"


def test_an_image_that_was_exchanged_is_said(images):
    labels = opened(images)
    boxed(labels, "a.png")
    from PIL import Image

    Image.new("RGB", (30, 30)).save(images / "a.png")
    with pytest.raises(ValueError, match=r"a.png has 30 x 30 pixels, its record says 60 x 40"):
        labels.work("a.png")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not JSON"),
        ('{"images": [], "annotations": []}', "has no 'categories'"),
        (
            '{"images": [], "annotations": [], "categories": [{"id": 1, "name": "x"}], '
            '"drafts": 3}',
            "'drafts' must be a list of image records",
        ),
        (
            '{"images": [], "annotations": [], "categories": [{"id": 1, "name": "x"}], "drafts": '
            '[{"id": 1, "file_name": "a.png", "width": 60, "annotations": []}]}',
            "has no 'height'",
        ),
        (
            '{"images": [], "annotations": [], "categories": [{"id": 1, "name": "x"}], "drafts": '
            '[{"id": 1, "file_name": "a.png", "width": 60, "height": 40, "annotations": '
            '[{"id": 1, "category_id": 8}]}]}',
            "has category 8, which is not declared",
        ),
    ],
)
def test_a_broken_file_is_refused_and_left_alone(images, content, said):
    path = images.parent / "labels.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=said):
        opened(images)
    assert path.read_text() == content


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ({"bbox": [float("nan"), 1, 2, 3]}, "'bbox' holds nan"),
        ({"point": [1, "x"]}, "'point' holds 'x'"),
        ({"segmentation": [[1, 1, float("inf"), 1, 2, 2]]}, "mend it or take it out"),
    ],
)
@pytest.mark.parametrize("finished", [True, False])
def test_a_place_that_cannot_be_drawn_is_named(images, place, said, finished):
    labels = opened(images)
    boxed(labels, "a.png")
    labels.change(replace(labels.work("a.png"), finished=finished))
    whole = document(labels)
    (whole if finished else whole["drafts"][0])["annotations"][0].pop("bbox")
    (whole if finished else whole["drafts"][0])["annotations"][0].update(place)
    labels.path.write_text(json.dumps(whole))
    before = labels.path.read_bytes()
    with pytest.raises(ValueError, match=f"image 1, annotation 1: .*{said}"):
        opened(images)
    assert labels.path.read_bytes() == before


@pytest.mark.parametrize(
    ("names", "said"),
    [([], "say the categories"), (["rose", " "], "needs a name"), (["x", "x "], "named twice")],
)
def test_names_are_checked(images, names, said):
    with pytest.raises(ValueError, match=said):
        opened(images, names)


def test_a_category_can_be_added_once(images):
    labels = opened(images)
    assert labels.add_category(" lily ").id == 3
    assert document(labels)["categories"][-1] == {"id": 3, "name": "lily"}
    with pytest.raises(ValueError, match="there is a category 'lily' already"):
        labels.add_category("lily")


ENTRIES = st.fixed_dictionaries(
    {"category_id": st.sampled_from([1, 2])},
    optional={
        "point": st.tuples(st.floats(0, SIZE[0]), st.floats(0, SIZE[1])).map(list),
        "bbox": st.just([3.0, 4.0, 9.0, 8.0]),
        "segmentation": st.just([[1.0, 1.0, 9.0, 1.0, 9.0, 9.0]]),
    },
)
STEPS = st.lists(
    st.tuples(st.sampled_from("abc"), ENTRIES | st.sampled_from(["finish", "undo", "redo"])),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(steps=STEPS)
def test_whatever_is_done_the_file_says_what_is_shown(tmp_path_factory, steps):
    images = make_folder(tmp_path_factory.mktemp("some") / "images")
    labels = opened(images)
    for letter, step in steps:
        work = labels.work(f"{letter}.png")
        if step == "finish":
            labels.change(replace(work, finished=True))
        elif step == "undo":
            labels.undo()
        elif step == "redo":
            labels.redo()
        else:
            try:
                labels.change(work.with_entry({"id": labels.next_entry_id(), **step}))
            except ValueError as error:
                assert "a tag adds nothing" in str(error)
    if not labels.path.exists():
        return
    again = opened(images, [])
    assert again.all_works() == labels.all_works()
    ids = [entry["id"] for work in again.all_works() for entry in work.entries]
    assert len(set(ids)) == len(ids)
    finished = [work for work in again.all_works() if work.finished]
    if finished:
        dataset = CocoDataset(labels.path, images)
        for index, work in enumerate(finished):
            assert len(dataset[index].label) == len(work.entries)
