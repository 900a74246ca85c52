"""The class list of 3,000 synsets: frequency, COCO's categories, layout."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsislib.data.visual_genome.classes import (
    CLASS_COUNT,
    COCO_NAMES,
    HAND_MAPPINGS,
    class_layout,
    coco_synsets,
    most_frequent,
    plain_name,
    read_mappings,
)
from wsislib.labels.splits import VOC_IN_COCO

names = st.text("abc_", min_size=1, max_size=4).map(lambda stem: f"{stem}.n.01")
tables = st.dictionaries(names, st.integers(1, 4), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(tables, st.data())
def test_most_frequent_is_a_cut_through_a_fixed_order(counts: dict[str, int], data) -> None:
    wanted = data.draw(st.integers(1, len(counts)))
    listed = most_frequent(counts, wanted)
    shuffled = dict(data.draw(st.permutations(list(counts.items()))))
    assert most_frequent(shuffled, wanted) == listed
    assert len(set(listed)) == wanted
    rest = set(counts) - set(listed)
    assert not rest or min(counts[n] for n in listed) >= max(counts[n] for n in rest)
    for one, two in zip(listed, listed[1:], strict=False):
        assert counts[one] > counts[two] or (counts[one] == counts[two] and one < two)


@settings(max_examples=60, deadline=None)
@given(st.sets(names, min_size=1, max_size=9), st.sets(names, max_size=5))
def test_layout_has_coco_first_and_every_listed_synset_once(
    listed: set[str], coco: set[str]
) -> None:
    order = tuple(coco)
    layout = class_layout(sorted(listed), order)
    assert layout[: len(order)] == order
    assert list(layout[len(order) :]) == sorted(layout[len(order) :])
    assert len(layout) == len(set(layout))
    assert set(layout) == listed | coco


def test_the_real_list_has_80_names_of_which_18_are_mapped_by_hand() -> None:
    assert len(set(COCO_NAMES)) == 80
    assert len(HAND_MAPPINGS) == 18
    assert set(HAND_MAPPINGS) < set(COCO_NAMES)
    voc = {COCO_NAMES[index] for index in VOC_IN_COCO}
    assert {"person", "tv", "potted plant", "couch", "sheep", "motorcycle"} < voc


def test_a_full_sized_list_has_3001_categories_where_one_coco_synset_is_rare() -> None:
    """FACTS: NUM_CLASSES is 3002 with background, so one COCO synset is beyond the 3,000."""
    coco = [HAND_MAPPINGS.get(name, f"{name.replace(' ', '_')}.n.01") for name in COCO_NAMES]
    counts = {synset: 10_000 - place for place, synset in enumerate(coco)}
    counts |= {f"other_{number:04d}.n.01": 100 for number in range(5000)}
    counts["hand_blower.n.01"] = 3
    listed = most_frequent(counts)
    assert len(listed) == CLASS_COUNT
    assert coco_synsets(listed) == tuple(coco)
    layout = class_layout(listed, coco_synsets(listed))
    assert len(layout) == CLASS_COUNT + 1
    assert layout[80] == "other_0000.n.01"
    assert layout[-1] == f"other_{CLASS_COUNT - 79 - 1:04d}.n.01"


def test_a_name_is_its_most_frequent_synset_and_the_hand_goes_before_it() -> None:
    listed = ("mouse.n.04", "orange.n.03", "mouse.n.01")
    assert coco_synsets(listed, ("mouse", "orange")) == ("mouse.n.04", "orange.n.01")
    own = {"orange": "orange.n.03", "mouse": "mouse.n.01"}
    assert coco_synsets(listed, ("mouse", "orange"), own) == ("mouse.n.01", "orange.n.03")
    assert plain_name("traffic_light.n.01") == "traffic light"
    assert plain_name("run.v.10") == "run"


def test_a_category_without_a_synset_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"without a synset: zebra, cup .*zebras\.n\.01.*mapping"):
        coco_synsets(("zebras.n.01",), ("tv", "zebra", "cup"))


def test_two_categories_may_not_share_a_synset() -> None:
    with pytest.raises(ValueError, match=r"'tv' and 'laptop' have the same synset 'television"):
        coco_synsets((), ("tv", "laptop"), {"laptop": "television.n.01"})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1], "must be a JSON object"),
        ({"zebrra": "zebra.n.01"}, "'zebrra' is no COCO category; did you mean 'zebra'"),
        ({"zebra": "zebbra.n.01"}, r"'zebra': no object has the synset 'zebbra.*near it: zebra"),
        ({"zebra": 5}, "'zebra': no object has the synset 5"),
    ],
)
def test_a_broken_mapping_file_is_an_error(tmp_path: Path, content: object, message: str) -> None:
    file = tmp_path / "mapping.json"
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=rf"mapping\.json: .*{message}"):
        read_mappings(file, {"zebra.n.01": 3})
    file.write_text("{")
    with pytest.raises(ValueError, match=r"mapping\.json: not valid JSON"):
        read_mappings(file, {})
    with pytest.raises(ValueError, match=r"none\.json: cannot be read"):
        read_mappings(tmp_path / "none.json", {})
