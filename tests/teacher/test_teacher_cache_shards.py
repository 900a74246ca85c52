"""Shards hold what was put into them, and say so when they do not any more."""

from pathlib import Path

import numpy as np
import pytest

from wsislib.teacher.candidate_codec import pack_candidates
from wsislib.teacher.candidate_shards import CandidateShards


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


def packed(number: int) -> bytes:
    masks = np.random.default_rng(number).random((number % 4, 3, 6, 9)) < 0.5
    return pack_candidates(masks, np.ones(masks.shape[:2], np.float32))


def entries(numbers: range) -> dict[bytes, bytes]:
    return {key(number): packed(number) for number in numbers}


def test_what_was_added_is_read_here_and_in_another_process(tmp_path: Path) -> None:
    mine, other = CandidateShards(tmp_path), CandidateShards(tmp_path)
    mine.add(entries(range(5)))
    assert key(3) not in other
    other.refresh()
    for shards in (mine, other, CandidateShards(tmp_path)):
        assert key(7) not in shards
        assert not shards.damaged
        for number in range(5):
            assert shards[key(number)] == packed(number)
            assert shards.instances(key(number)) == number % 4


def test_two_who_make_the_same_shard_make_one_file(tmp_path: Path) -> None:
    first, second = CandidateShards(tmp_path), CandidateShards(tmp_path)
    assert first.add(entries(range(5))) == second.add(entries(range(5)))
    second.add(entries(range(5, 6)))
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("fault", ["flip", "cut", "empty", "longer"])
def test_every_kind_of_damage_is_seen(tmp_path: Path, fault: str) -> None:
    path = CandidateShards(tmp_path).add(entries(range(5)))
    whole = path.read_bytes()
    damaged = {
        "flip": [
            whole[:i] + bytes([whole[i] ^ 4]) + whole[i + 1 :] for i in range(0, len(whole), 9)
        ],
        "cut": [whole[:i] for i in range(1, len(whole), 17)],
        "empty": [b""],
        "longer": [whole + b"\n"],
    }
    for content in damaged[fault]:
        path.write_bytes(content)
        shards = CandidateShards(tmp_path)
        assert shards.damaged == [path]
        assert key(3) not in shards
    assert shards.remove_damaged() == [path]
    assert not path.exists()
    shards.add(entries(range(5)))
    assert shards[key(3)] == packed(3)


def test_damage_after_opening_is_seen_when_read(tmp_path: Path) -> None:
    shards = CandidateShards(tmp_path)
    path = shards.add(entries(range(1, 2)))
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ValueError, match=f"{path.name}: damaged or gone"):
        shards[key(1)]
    path.unlink()
    with pytest.raises(ValueError, match=f"{path.name}: damaged or gone"):
        shards[key(1)]
