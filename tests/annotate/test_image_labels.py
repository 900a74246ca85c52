"""Entries of one image."""

import pytest

from wsislib.annotate.image_labels import ImageLabels

EMPTY = ImageLabels("a.png", 60, 40)


def test_an_entry_is_replaced_where_it_stands():
    work = EMPTY
    for number in (1, 2, 3):
        work = work.with_entry({"id": number, "category_id": 1, "point": [number, 5]})
    changed = work.with_entry({"id": 2, "category_id": 2, "bbox": [1, 1, 5, 5]})
    assert [entry["id"] for entry in changed.entries] == [1, 2, 3]
    assert changed.entries[1]["bbox"] == [1, 1, 5, 5]
    assert work.entries[1]["category_id"] == 1  # values do not change


def test_a_place_takes_the_stead_of_its_tag():
    tagged = EMPTY.with_entry({"id": 1, "category_id": 1}).with_entry({"id": 2, "category_id": 2})
    placed = tagged.with_entry({"id": 3, "category_id": 1, "point": [3, 3]})
    assert [entry["id"] for entry in placed.entries] == [2, 3]


def test_a_tag_beside_an_entry_of_its_category_is_refused():
    for place in ({}, {"point": [3, 3]}):
        work = EMPTY.with_entry({"id": 1, "category_id": 1, **place})
        with pytest.raises(ValueError, match="a tag adds nothing"):
            work.with_entry({"id": 2, "category_id": 1})


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ({"point": [70, 5]}, "lies outside the image"),
        ({"bbox": [70, 5, 4, 4]}, "nothing inside the image"),
        ({"bbox": [1, 2, 3]}, "must be"),
        ({"segmentation": [[1, 1, 2, 2]]}, "annotation 1"),
        ({"segmentation": [[1, 1, 1, 1, 1, 1]]}, "covers no pixel"),
    ],
)
def test_what_cannot_be_read_again_is_not_taken(place, said):
    with pytest.raises(ValueError, match=said):
        EMPTY.with_entry({"id": 1, "category_id": 1, **place})


def test_entries_are_removed_and_renamed():
    work = EMPTY.with_entry({"id": 1, "category_id": 1, "point": [3, 3]})
    assert work.named(1, 2).entries[0] == {"id": 1, "category_id": 2, "point": [3, 3]}
    assert work.without(1).entries == ()
    for act in (lambda: work.without(4), lambda: work.named(4, 1)):
        with pytest.raises(ValueError, match=r"a.png: there is no entry 4"):
            act()
