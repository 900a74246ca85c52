"""The papers as data: published numbers with the source of each, and claims to be tested.

`papers/<paper>/published.csv` holds one number per line with a `source_tag` that
`papers/<paper>/sources.csv` explains; `papers/<paper>/claims.yml` holds what the paper says that
a run can agree or disagree with. A claim never repeats a number: it names a line of the CSV.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pandas as pd
import yaml

from wsislib.strict import reject_unknown

PAPERS_ROOT = Path(__file__).resolve().parents[3] / "papers"
_KEYS = ("table", "row", "direction", "dataset", "backbone", "metric")
PUBLISHED_COLUMNS = (*_KEYS, "value", "source_tag", "note")
CLAIM_KINDS = ("ordering", "value", "gap")
CHECK_TYPES = ("greater", "greater_by", "close")
_CLAIM_KEYS = ("id", "kind", "statement", "source", "published", "check")
_PHOTO_KEYS = ("table", "metric", "chain", "also", "other_cause")
_CHECK_KEYS = ("type", "table", "metric", "chain", "also", "by", "within", "other_cause")


@dataclass(frozen=True)
class PublishedValue:
    """One number that a paper gives: AP in 0..100, relative gains in percent."""

    paper: str
    table: str
    row: str
    direction: str  # "voc-to-nonvoc" or "nonvoc-to-voc"; like the next two "" if there is only one
    dataset: str
    backbone: str
    metric: str
    value: float
    source_tag: str  # a key of the paper's `sources.csv`
    note: str  # what a reader must know beside the number


@dataclass(frozen=True)
class Check:
    """How a run answers a claim.

    `type` is "greater" (each row of `chain` above the one before it), "greater_by" (last row above
    the first by `by` AP points) or "close" (rows within `within` AP points of each other).
    """

    type: str
    table: str  # of the study; where the study has none yet, the claim is not run
    metric: str  # name of a column of the table
    chain: tuple[str, ...]  # rows, lowest to highest
    by: float = 0.0
    within: float = 0.0
    also: tuple[tuple[str, ...], ...] = ()  # further chains, such as that of the other direction
    other_cause: str = ""  # why rows stand as the claim says, if it is known not to be the paper's

    @property
    def chains(self) -> tuple[tuple[str, ...], ...]:
        """`chain` and then `also`."""
        return (self.chain, *self.also)


@dataclass(frozen=True)
class Claim:
    """One sentence of a paper that a run can agree or disagree with."""

    id: str
    paper: str
    kind: str
    title: str  # the statement in a few words
    statement: str
    source: str
    published: tuple[PublishedValue, ...]
    check: Check
    photo: Check | None = None  # the same of photographs; None where no such table answers it


# In all that follows `root` is the `papers/` folder, None for the one of this repository.


def papers(root: Path | None = None) -> tuple[str, ...]:
    """Names of the papers that have published numbers, sorted."""
    return tuple(sorted(file.parent.name for file in (root or PAPERS_ROOT).glob("*/published.csv")))


def load_published(paper: str, root: Path | None = None) -> pd.DataFrame:
    """Every published number of a paper, one a line; "" stands for no text, `value` is float.

    Raises ValueError for an unknown paper, missing columns, a value that is no number, a source tag
    that `sources.csv` does not explain, or the same cell twice.
    """
    file = _paper_file(paper, "published.csv", root)
    frame = pd.read_csv(file, dtype=str, keep_default_na=False)
    if tuple(frame.columns) != PUBLISHED_COLUMNS:
        raise ValueError(
            f"{file}: columns are {list(frame.columns)}; they must be {list(PUBLISHED_COLUMNS)}"
        )
    frame["value"] = [_number(file, line, text) for line, text in enumerate(frame["value"], 2)]
    unexplained = sorted(set(frame["source_tag"]) - set(load_sources(paper, root)["tag"]))
    if unexplained:
        raise ValueError(f"{file}: source tags {unexplained} are not in sources.csv; add them")
    doubled = frame[frame.duplicated(list(_KEYS))]
    if len(doubled):
        first = doubled.iloc[0]
        raise ValueError(f"{file}: {dict(first[list(_KEYS)])} is given twice; keep one line")
    return frame


def load_sources(paper: str, root: Path | None = None) -> pd.DataFrame:
    """What each source tag of a paper stands for: columns tag, what, address, standing."""
    file = _paper_file(paper, "sources.csv", root)
    return pd.read_csv(file, dtype=str, keep_default_na=False)


def load_figure(paper: str, name: str, root: Path | None = None) -> pd.DataFrame:
    """The points of a published figure from `papers/<paper>/<name>.csv`."""
    return pd.read_csv(_paper_file(paper, f"{name}.csv", root))


def find_published(paper: str, frame: pd.DataFrame, wanted: Any, where: str) -> PublishedValue:
    """The line of `load_published` that has the values `wanted`; `where` is for errors.

    Raises ValueError for an unknown key, and where there is no such number or more than one.
    """
    _check_keys(f"{where}: published", wanted, ("table", "row", "metric"), _KEYS)
    found = frame
    for key, value in wanted.items():
        found = found[found[key] == value]
    if len(found) != 1:
        what = "no published number" if len(found) == 0 else f"{len(found)} published numbers"
        raise ValueError(f"{where}: {what} for {dict(wanted)}; look into published.csv of {paper}")
    return PublishedValue(paper=paper, **cast(dict[str, Any], found.iloc[0].to_dict()))


def load_claims(root: Path | None = None) -> list[Claim]:
    """The claims of all papers, in the order of the files; ValueError names file and claim."""
    claims: dict[str, Claim] = {}
    for paper in papers(root):
        file = _paper_file(paper, "claims.yml", root)
        published, tags = load_published(paper, root), set(load_sources(paper, root)["tag"])
        for entry in yaml.safe_load(file.read_text(encoding="utf-8")) or []:
            where = f"{file}: claim {entry.get('id') if isinstance(entry, dict) else entry!r}"
            claim = _read_claim(where, paper, entry, published)
            if claim.source not in tags:
                raise ValueError(f"{where}: source {claim.source!r} is not in sources.csv; add it")
            if claim.id in claims:
                raise ValueError(f"{where}: this id is used twice; give each claim its own")
            claims[claim.id] = claim
    return list(claims.values())


def _read_claim(where: str, paper: str, entry: Any, published: pd.DataFrame) -> Claim:
    _check_keys(where, entry, _CLAIM_KEYS, (*_CLAIM_KEYS, "title", "photo"))
    if entry["kind"] not in CLAIM_KINDS:
        raise ValueError(f"{where}: kind is {entry['kind']!r}; it must be one of {CLAIM_KINDS}")
    check, photo = _read_check(f"{where}: check", entry["check"]), None
    if "photo" in entry:
        # What it does not say is as in `check`, so that most claims need one line.
        _check_keys(f"{where}: photo", entry["photo"], _PHOTO_KEYS[:2], _PHOTO_KEYS)
        photo = _read_check(f"{where}: photo", {**entry["check"], **entry["photo"]})
    return Claim(
        id=str(entry["id"]),
        paper=paper,
        kind=entry["kind"],
        title=_one_line(entry.get("title", entry["statement"])),
        statement=_one_line(entry["statement"]),
        source=str(entry["source"]),
        published=tuple(find_published(paper, published, one, where) for one in entry["published"]),
        check=check,
        photo=photo,
    )


def _read_check(where: str, entry: Any) -> Check:
    _check_keys(where, entry, _CHECK_KEYS[:4], _CHECK_KEYS)
    kind, also = entry["type"], entry.get("also", [])
    if kind not in CHECK_TYPES:
        raise ValueError(f"{where}: type is {kind!r}; it must be one of {CHECK_TYPES}")
    if not isinstance(also, list):
        raise ValueError(f"{where}: also is {also!r}; it must list chains")
    for rows in (entry["chain"], *also):
        if not isinstance(rows, list) or len(set(rows)) < 2:
            raise ValueError(f"{where}: chain is {rows!r}; it must list two or more different rows")
    for key, owner in (("by", "greater_by"), ("within", "close")):
        if (key in entry) != (kind == owner):
            raise ValueError(f"{where}: {key!r} belongs to type {owner!r} and to no other")
    chain, *others = (tuple(map(str, rows)) for rows in (entry["chain"], *also))
    cause = _one_line(entry.get("other_cause", ""))
    return Check(**{**entry, "chain": chain, "also": tuple(others), "other_cause": cause})


def _one_line(text: Any) -> str:
    return " ".join(str(text).split())


def _check_keys(where: str, entry: Any, required: Sequence[str], allowed: Sequence[str]) -> None:
    if not isinstance(entry, Mapping):
        raise ValueError(f"{where}: a mapping is expected here, not {entry!r}")
    reject_unknown(entry, allowed, where)
    missing = [key for key in required if key not in entry]
    if missing:
        raise ValueError(f"{where}: lacks {missing}; add them")


def _paper_file(paper: str, name: str, root: Path | None) -> Path:
    file = (root or PAPERS_ROOT) / paper / name
    if not file.is_file():
        known = ", ".join(papers(root)) or "none"
        raise ValueError(f"{file}: no such file; papers with published numbers: {known}")
    return file


def _number(file: Path, line: int, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{file}: line {line}: value {text!r} is not a number") from None
