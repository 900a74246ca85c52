"""Which images a step sees follows from the seed and the step alone."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsislib.data.sample import Sample
from wsislib.engine.batches import batches, epoch_order, step_positions
from wsislib.engine.config import TrainConfig


def noisy(sample: Sample, generator: torch.Generator) -> Sample:
    noise = torch.rand(sample.image.shape, generator=generator)
    return Sample(sample.image + noise, sample.image_id, sample.label)


def read(data, first: int = 0, **settings: object) -> list[list[Sample]]:  # type: ignore[no-untyped-def]
    team = {key: settings.pop(key) for key in ("rank", "world") if key in settings}
    config = TrainConfig.from_dict({"steps": 5, "batch_size": 4, **settings})
    return list(batches(data, config, first, noisy, **team))  # type: ignore[arg-type]


def same(ours: list[list[Sample]], theirs: list[list[Sample]]) -> bool:
    pairs = [pair for a, b in zip(ours, theirs, strict=True) for pair in zip(a, b, strict=True)]
    return all(a.image_id == b.image_id and torch.equal(a.image, b.image) for a, b in pairs)


# Python 3.12 and later warn of every fork in a process that has threads; the workers only read.
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_workers_change_nothing(tiny: SimpleNamespace) -> None:
    data = tiny.dataset()
    state = torch.get_rng_state()
    assert same(read(data, workers=2), read(data, workers=0))
    assert torch.equal(torch.get_rng_state(), state)


def test_going_on_in_the_middle_sees_the_same(tiny: SimpleNamespace) -> None:
    data = tiny.dataset()
    assert same(read(data, first=3), read(data)[3:])
    assert read(data, first=5) == []


def test_seeds_and_epochs_differ(tiny: SimpleNamespace) -> None:
    data = tiny.dataset()
    assert not same(read(data, seed=1), read(data))
    first, again = read(data, batch_size=10, steps=2)
    assert sorted(s.image_id for s in first) == sorted(s.image_id for s in again)
    assert [s.image_id for s in first] != [s.image_id for s in again]
    by_id = {s.image_id: s.image for s in first}
    assert not any(torch.equal(by_id[s.image_id], s.image) for s in again)


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, 30), share=st.integers(1, 6), world=st.integers(1, 4),
    seed=st.integers(0, 2**40),
)  # fmt: skip
def test_every_image_once_an_epoch(count: int, share: int, world: int, seed: int) -> None:
    size = share * world
    positions = [
        sorted(p for rank in range(world) for p in step_positions(step, size, rank, world))
        for step in range(count)
    ]
    assert [p for step in positions for p in step] == list(range(size * count))
    for epoch in range(2):
        assert sorted(epoch_order(count, seed, epoch)) == list(range(count))


def test_processes_share_out_each_batch(tiny: SimpleNamespace) -> None:
    data = tiny.dataset()
    shares = [read(data, rank=rank, world=2) for rank in (0, 1)]
    together = [[shares[i % 2][step][i // 2] for i in range(4)] for step in range(5)]
    assert same(together, read(data))
    with pytest.raises(ValueError, match="batch_size 4 cannot be shared evenly by 3 processes"):
        read(data, world=3)


def test_empty_data_set_is_refused(tiny: SimpleNamespace) -> None:
    with pytest.raises(ValueError, match="holds no image"):
        read(tiny.dataset(0))
