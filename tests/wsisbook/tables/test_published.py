"""The papers' data files: readable, every number sourced, faults named."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from wsisbook.runs.spec import load_study
from wsisbook.tables.published import (
    PAPERS_ROOT,
    PublishedValue,
    find_published,
    load_claims,
    load_figure,
    load_published,
    load_sources,
    papers,
)

MASKX, WISH = "learning-to-segment-every-thing", "wish"


def published_value(paper: str, table: str, row: str, metric: str, **where: str) -> PublishedValue:
    wanted = {"table": table, "row": row, "metric": metric, **where}
    return find_published(paper, load_published(paper), wanted, f"papers/{paper}")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder of papers of one's own, to spoil."""
    return Path(shutil.copytree(PAPERS_ROOT, tmp_path / "papers"))


def test_the_two_papers_are_there() -> None:
    assert papers() == (MASKX, WISH)


@pytest.mark.parametrize(
    ("direction", "backbone", "row", "metric", "value"),
    [
        ("voc-to-nonvoc", "R-50-FPN", "class-agnostic", "AP", 19.2),
        ("voc-to-nonvoc", "R-50-FPN", "maskx", "AP", 23.7),
        ("voc-to-nonvoc", "R-50-FPN", "oracle", "AP", 33.0),
        ("voc-to-nonvoc", "R-101-FPN", "grabcut-trained", "AP75", 17.0),
        ("nonvoc-to-voc", "R-50-FPN", "class-agnostic", "AP", 23.9),
        ("nonvoc-to-voc", "R-50-FPN", "oracle", "AP", 37.5),
        ("nonvoc-to-voc", "R-101-FPN", "maskx", "AP", 29.5),
        ("nonvoc-to-voc", "R-101-FPN", "oracle", "APL", 55.1),
    ],
)
def test_numbers_of_table_2(direction, backbone, row, metric, value) -> None:
    found = published_value(MASKX, "table-2", row, metric, direction=direction, backbone=backbone)
    assert (found.value, found.source_tag) == (value, "I1")


def test_table_2_is_whole() -> None:
    frame = load_published(MASKX)
    frame = frame[frame["table"] == "table-2"]
    assert len(frame) == 2 * 2 * 5 * 6
    assert frame["value"].between(0, 100).all()
    wide = frame.pivot(index=["direction", "backbone", "row"], columns="metric", values="value")
    assert (wide["AP50"] > wide["AP"]).all()
    assert (wide["AP50"] > wide["AP75"]).all()
    assert (wide["APM"] > wide["APS"]).all()


def test_the_gaps_to_the_oracle_agree_with_those_restated_elsewhere() -> None:
    gaps = [
        published_value(MASKX, "table-2", "oracle", "AP", direction=way, backbone="R-101-FPN").value
        - published_value(
            MASKX, "table-2", "maskx", "AP", direction=way, backbone="R-101-FPN"
        ).value
        for way in ("voc-to-nonvoc", "nonvoc-to-voc")
    ]
    assert gaps == pytest.approx([10.6, 9.6])


def test_figure_3_has_its_27_points() -> None:
    points = load_figure(MASKX, "figure-3")
    assert points.groupby("a_count").size().to_dict() == {20: 6, 30: 5, 40: 5, 50: 5, 60: 6}
    right = points[points["instances_per_class"] > 11_000]
    left = points[points["instances_per_class"] <= 11_000]
    assert right["relative_gain"].mean() > 2 * left["relative_gain"].mean()


def test_numbers_of_the_second_paper() -> None:
    ap = load_published(WISH).query("metric == 'AP'").set_index(["table", "row"])["value"]
    assert ap.to_dict() == {
        ("table-1", "wish-tags"): 46.0,
        ("table-1", "wish-points"): 52.4,
        ("table-1", "wish-boxes"): 54.6,
        ("table-1", "mask2former-masks"): 54.8,
        ("table-3", "tags-10582"): 46.0,
        ("table-3", "boxes-882"): 45.1,
        ("table-3", "tags-5290-boxes-441"): 48.3,
    }


def test_claims_rise_with_the_published_numbers() -> None:
    """A claim that says `greater` must be true of the numbers it cites."""
    claims = load_claims()
    checked = 0
    for claim in claims:
        chains = (c for c in claim.check.chains if not c[-1].endswith("-reversed"))
        length = len({row for chain in (claim.check.chain, *chains) for row in chain})
        groups = {}
        for value in claim.published:
            groups.setdefault((value.direction, value.backbone), []).append(value.value)
        if claim.check.type != "greater" or not claim.published:
            continue
        if claim.id in RELATIVE_ONLY:
            continue
        for values in groups.values():
            assert len(values) == length, claim.id
            assert values == sorted(set(values)), claim.id
            checked += 1
    assert checked >= 10
    assert len({claim.id for claim in claims}) == len(claims)


RELATIVE_ONLY = {"maskx-transfer-gain-stage-wise", "maskx-gain-grows-with-instances"}


def test_the_first_table_answers_a_claim() -> None:
    claim = next(c for c in load_claims() if c.check.table == "masks-are-worth")
    assert claim.paper == MASKX
    assert [value.value for value in claim.published] == [19.2, 33.0]
    assert claim.check.chain == ("agnostic-a", "specific-ab") and claim.check.also == ()


def test_a_claim_of_both_directions_is_checked_in_both() -> None:
    """What cites the numbers of two directions has a chain for each, row for row."""
    both = 0
    for claim in (c for c in load_claims() if c.paper == MASKX):
        directions = {value.direction for value in claim.published}
        if len(directions) < 2 or claim.id == "maskx-gain-grows-with-instances":
            continue
        chains = claim.check.chains
        ends = len(chains) // 2
        turned = tuple(tuple(f"{row}-reversed" for row in chain) for chain in chains[:ends])
        assert chains[ends:] == turned, claim.id
        both += 1
    assert both == 4


def test_a_claim_of_one_direction_cites_that_one() -> None:
    for claim in (c for c in load_claims() if c.paper == MASKX and c.published):
        rows = {row.endswith("-reversed") for chain in claim.check.chains for row in chain}
        if rows == {True}:
            assert {value.direction for value in claim.published} == {"nonvoc-to-voc"}, claim.id


def test_every_row_of_a_claim_is_in_its_table() -> None:
    """Also where the other direction is looked for."""
    study = load_study(PAPERS_ROOT.parent / "book" / "study.yml")
    for claim in load_claims():
        if claim.check.table in study.tables:
            table = study.table(claim.check.table)
            rows = {row for chain in claim.check.chains for row in chain}
            assert rows <= set(table.rows), claim.id


def test_further_chains_are_read_in_their_order() -> None:
    also = next(c for c in load_claims() if c.id == "maskx-above-agnostic").check
    assert also.chain == ("class-agnostic", "maskx", "oracle")
    assert also.also == (("class-agnostic-reversed", "maskx-reversed", "oracle-reversed"),)
    assert also.chains == (also.chain, *also.also)
    plain = next(c for c in load_claims() if c.paper == WISH).check
    assert plain.also == () and plain.chains == (plain.chain,)


def test_claims_without_a_number_say_so() -> None:
    for claim in load_claims():
        if not claim.published:
            assert "No number of this table is known." in claim.statement


@pytest.mark.parametrize("paper", [MASKX, WISH])
def test_every_source_tag_is_explained_and_used_somewhere(paper: str) -> None:
    folder = PAPERS_ROOT / paper
    texts = " ".join(
        f.read_text(encoding="utf-8") for f in folder.iterdir() if f.name != "sources.csv"
    )
    for tag in load_sources(paper)["tag"]:
        assert re.search(rf"\b{tag}\b", texts), f"{paper}: source {tag} is used nowhere"


def test_peers_have_a_number_and_a_source_in_every_line() -> None:
    peers = pd.read_csv(PAPERS_ROOT / "peers.csv", keep_default_na=False)
    assert len(peers) > 150
    filled = ["method", "supervision", "dataset", "split", "metric", "source"]
    assert (peers[filled] != "").all(axis=None)
    assert peers["value"].between(0, 100).all()
    keys = ["method", "supervision", "backbone", "schedule", "dataset", "split", "metric", "source"]
    assert not peers.duplicated(keys).any()


def spoil(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: ordering", "kid: ordering", "unknown key 'kid'; did you mean 'kind'"),
        ("kind: ordering", "kind: order", "kind is 'order'"),
        ("  source: S2\n", "", r"lacks \['source'\]"),
        ("source: S2", "source: S9", "source 'S9' is not in sources.csv"),
        ("row: wish-tags", "row: wish-tag", "no published number for .*wish-tag"),
        ("type: greater,", "type: larger,", "type is 'larger'"),
        ("chain: [tags, points, boxes]", "chain: [tags]", "two or more different rows"),
        ("chain: [tags, points, boxes]", "chain: tags", "two or more different rows"),
        ("chain: [tags, points, boxes]", "chain: [tags, tags]", "two or more different rows"),
        ("type: greater,", "type: greater, also: [[a, b], [a]],", "two or more different rows"),
        ("type: greater,", "type: greater, also: [a, b],", "chain is 'a'"),
        ("type: greater,", "type: greater, also: {a: b},", "also is .* must list chains"),
        ("type: greater,", "type: greater, als: [],", "unknown key 'als'; did you mean 'also'"),
        (", within: 1.0", "", "'within' belongs to type 'close'"),
        ("type: greater,", "type: greater, by: 2.0,", "'by' belongs to type 'greater_by'"),
        ("metric: AP}", "metrics: AP}", "unknown key 'metrics'; did you mean 'metric'"),
        ("id: wish-mix-above-boxes", "id: wish-mix-above-tags", "this id is used twice"),
    ],
)
def test_a_spoilt_claim_is_named(copy: Path, old: str, new: str, message: str) -> None:
    spoil(copy / WISH / "claims.yml", old, new)
    with pytest.raises(ValueError, match=message) as caught:
        load_claims(copy)
    assert "claims.yml" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("54.6", "high", "line 4: value 'high' is not a number"),
        ("54.6,S2", "54.6,S7", r"source tags \['S7'\] are not in sources.csv"),
        ("wish-points", "wish-tags", "given twice"),
        ("backbone", "network", "columns are"),
    ],
)
def test_a_spoilt_number_is_named(copy: Path, old: str, new: str, message: str) -> None:
    spoil(copy / WISH / "published.csv", old, new)
    with pytest.raises(ValueError, match=message) as caught:
        load_published(WISH, copy)
    assert "published.csv" in str(caught.value)


def test_looking_up_too_little_or_too_much_is_an_error() -> None:
    with pytest.raises(ValueError, match="4 published numbers for"):
        published_value(MASKX, "table-2", "maskx", "AP")
    with pytest.raises(ValueError, match="no published number"):
        published_value(MASKX, "table-9", "maskx", "AP")
    with pytest.raises(ValueError, match="unknown key 'backbones'; did you mean 'backbone'"):
        published_value(MASKX, "table-2", "maskx", "AP", backbones="R-50-FPN")
    with pytest.raises(ValueError, match=f"papers with published numbers: {MASKX}, {WISH}"):
        load_published("sam")
