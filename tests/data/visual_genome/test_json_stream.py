"""Records from a long JSON list, against the whole file read at once."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsislib.data.visual_genome import files
from wsislib.data.visual_genome.files import stream_records

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    leaves.filter(lambda v: v not in (float("inf"), float("-inf"))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
lists = st.lists(st.dictionaries(st.text(), values, max_size=4), max_size=6)


@settings(max_examples=60, deadline=None)
@given(lists, st.sampled_from([None, 1]), st.integers(1, 9), st.booleans())
def test_it_gives_what_json_gives(records: list, indent: int | None, chunk: int, ascii: bool):
    text = json.dumps(records, indent=indent, ensure_ascii=ascii).encode("utf-8", "replace")
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder) / "list.json"
        path.write_bytes(text)
        patch.setattr(files, "CHUNK", chunk)
        assert list(stream_records(path)) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "after 0 records: is not JSON"),
        ("{}", "after 0 records: is not JSON, or no list"),
        ("[5]", "after 0 records: holds something that is no record"),
        ('[{"a": 1}, 5]', "after 1 records: holds something that is no record"),
        ('[{"a": 1},]', "after 1 records: holds something that is no record"),
        ('[{"a": 1}', "after 1 records: is not JSON, or is cut short"),
        ('[{"a": 1', "after 0 records: is not JSON, or is cut short"),
        ('[{"a": 1} {"a": 1}]', "after 1 records: is not JSON"),
        ('[{"a": 1}] []', "after 1 records: goes on after its list"),
        ('[{"a": NaN}]', "holds NaN"),
        ('[{"a": -Infinity}]', "holds -Infinity"),
        ('[{"a": ' + "[" * 100_000, "after 0 records"),
        ('[{"a": ' + "9" * 5000 + "}]", "after 0 records"),
    ],
)
def test_what_is_no_list_of_records_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "list.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"list\.json, .*{message}"):
        list(stream_records(path))


def test_other_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "list.json"
    path.write_bytes(b'[{"a": "\xff"}]')
    with pytest.raises(ValueError, match=r"list\.json, after 0 records: 'utf-8'"):
        list(stream_records(path))
    with pytest.raises(ValueError, match=r"none\.json: cannot be read: No such file"):
        list(stream_records(tmp_path / "none.json"))
    path.write_text(json.dumps([{"a": "b" * 5000}]))
    monkeypatch.setattr(files, "CHUNK", 64)
    monkeypatch.setattr(files, "MAX_RECORD", 1000)
    with pytest.raises(ValueError, match=r"after 0 records: is not JSON, or is cut short"):
        list(stream_records(path))
