"""A store gives back what was written, and says so when it cannot."""

import gzip
import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsislib.labels import mask_store
from wsislib.labels.mask_store import MaskStore, StorePass, blocks_of

KEY = "0123456789abcdef" * 2


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.tuples(st.integers(0, 4), st.integers(1, 3), st.integers(1, 40), st.integers(1, 300)),
    st.integers(0, 10**6),
    st.sampled_from([0.0, 0.01, 0.5, 0.99, 1.0]),
)
def test_nothing_is_lost(
    tmp_path_factory: pytest.TempPathFactory,
    shape: tuple[int, int, int, int],
    seed: int,
    share: float,
) -> None:
    store = MaskStore(tmp_path_factory.mktemp("store"))
    random = np.random.default_rng(seed)
    masks = random.random(shape) < share
    scores = random.random(shape[:2], dtype=np.float32)
    store.write(KEY, masks, scores)
    again, score = store.read(KEY)
    assert again.shape == shape and again.dtype == bool and again.flags.c_contiguous
    assert score.dtype == np.float32
    assert np.array_equal(again, masks) and np.array_equal(score, scores.reshape(-1))


def test_files_are_spread_over_folders_and_hold_the_same_bytes_each_time(tmp_path: Path) -> None:
    store, masks = MaskStore(tmp_path), np.eye(5, dtype=bool)[None]
    assert store.keys() == set() and store.find(KEY) is None
    store.write(KEY, masks)
    content = store.path(KEY).read_bytes()
    time.sleep(1.1)  # gzip writes whole seconds
    store.write(KEY, masks)
    assert store.path(KEY).read_bytes() == content
    assert store.path(KEY).parent == tmp_path / "01"
    store.path(KEY).with_name(f".{KEY}.masks.gz.7.tmp").touch()  # of a process that was killed
    assert MaskStore(tmp_path).keys() == {KEY}


@pytest.mark.parametrize("fault", ["flip", "cut", "empty", "longer"])
def test_every_kind_of_damage_is_seen(tmp_path: Path, fault: str) -> None:
    store = MaskStore(tmp_path)
    store.write(KEY, np.random.default_rng(0).random((2, 3, 6, 9)) < 0.5, np.ones((2, 3), "f4"))
    path = store.path(KEY)
    whole = path.read_bytes()
    start = 10  # gzip's own header says nothing of the content
    damaged = {
        "flip": [
            whole[:i] + bytes([whole[i] ^ 4]) + whole[i + 1 :] for i in range(start, len(whole))
        ],
        "cut": [whole[:i] for i in range(1, len(whole))],
        "empty": [b""],
        "longer": [whole + b"\n", whole + whole],
    }
    for content in damaged[fault]:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"{path.name}: damaged or gone.*makes it anew"):
            store.read(KEY)
        with pytest.warns(UserWarning, match=f"{path.name}: damaged; what it held is made again"):
            assert store.find(KEY) is None
    path.unlink()
    with pytest.raises(ValueError, match="damaged or gone"):
        store.read(KEY)


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "f" * 32},
        {"shape": [1, 4, 5]},
        {"shape": [10**6, 10**6, 10**6]},
        {"shape": "?"},
        {"shape": [-4, -4]},
        {"scores": ["?"]},
    ],
)
def test_files_that_lie_are_refused(tmp_path: Path, changes: dict) -> None:
    store = MaskStore(tmp_path)
    store.write(KEY, np.zeros((1, 4, 4), dtype=bool))
    path = store.path(KEY)
    head, _, runs = gzip.decompress(path.read_bytes()).partition(b"\n")
    path.write_bytes(
        gzip.compress(json.dumps({**json.loads(head), **changes}).encode() + b"\n" + runs)
    )
    with pytest.raises(ValueError, match="damaged or gone"):
        store.read(KEY)


class Squares(StorePass):
    """Makes a mask for each image; the second block ends its process in the middle, if asked to."""

    def __init__(self, store: MaskStore, dataset, killed: bool = False) -> None:
        super().__init__(store, dataset, "squares", "squares")
        self.killed = killed

    def is_done(self, rows: range) -> bool:
        return all(self.store.find(f"{row:032x}") is not None for row in rows)

    def make(self, rows: range) -> Iterator[bool]:
        for row in rows:
            missing = self.store.find(f"{row:032x}") is None
            if missing:
                if self.killed and row == 3:
                    os.kill(os.getpid(), 9)
                self.store.write(f"{row:032x}", np.ones((row, 2, 2), dtype=bool))
            yield missing


@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_process_leaves_what_it_made_and_no_claim(
    blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr(mask_store, "BLOCK", 2)
    store, blocks = MaskStore(tmp_path), blocks_of(len(blobs))
    assert blocks == (range(2), range(2, 4), range(4, 6))
    process = multiprocessing.get_context("fork").Process(
        target=Squares(store, blobs, killed=True).run, args=(blocks, 0, False)
    )
    process.start()
    process.join(60)
    assert process.exitcode == -9
    assert len(store.keys()) == 3
    assert Squares(store, blobs).run(blocks, workers, progress=False) == 3
    assert len(store.keys()) == 6 and not list((tmp_path / "claims").iterdir())
    assert Squares(store, blobs).run(blocks, workers, progress=False) == 0
    assert store.read(f"{5:032x}")[0].shape == (5, 2, 2)
