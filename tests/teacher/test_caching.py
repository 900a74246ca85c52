"""The pass makes each image's candidates once, whoever stops it, and nothing that is there."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.numeric import close
from wsislib.data.sample import Label, LabelKind, Sample
from wsislib.data.world import WorldDataset, WorldSpec
from wsislib.labels import mask_store
from wsislib.labels.datasets import WeakDataset
from wsislib.models.sam.prompts import Prompts, prompts_of
from wsislib.models.sam.sam import Embedded, Teacher
from wsislib.models.sam.tiny_sam import tiny_sam
from wsislib.teacher.caching import cache_candidates
from wsislib.teacher.teaching import TeachingDataset

COUNT = 12
KINDS = [LabelKind.TAG, LabelKind.POINT, LabelKind.BOX, LabelKind.MASK] * 3


class Counting(Teacher):
    """Counts the images that it looks at, and stops before the n-th where asked to."""

    def __init__(self, fingerprint: str = "one", stop_at: int | None = None) -> None:
        sam = tiny_sam(width=32, side=32, widths=(8, 8, 8, 8))
        with torch.no_grad():  # predicted IoU around a half
            sam.mask_decoder.iou_prediction_head.layers[-1].bias += 0.5
        super().__init__(sam, "small", fingerprint)
        self.seen, self.stop_at = 0, stop_at

    def embed(self, images: Sequence[torch.Tensor]) -> Embedded:
        if self.seen == self.stop_at:
            raise KeyboardInterrupt
        self.seen += len(images)
        return super().embed(images)


class Changed:
    """A data set with some samples replaced."""

    def __init__(self, dataset: WeakDataset, samples: dict[int, Sample]) -> None:
        self.dataset, self.samples = dataset, samples
        self.categories, self.image_ids = dataset.categories, dataset.image_ids

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        return self.samples.get(index) or self.dataset[index]

    def ground_truth(self) -> dict:
        return self.dataset.ground_truth()

    def fingerprint(self) -> str:
        return f"{sorted(self.samples)} of {self.dataset.fingerprint()}"


@pytest.fixture(scope="module")
def scenes() -> WeakDataset:
    world = WorldDataset(WorldSpec(categories=6, size=64), seed=3, count=COUNT)
    return WeakDataset(world, KINDS, seed=0)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(mask_store, "BLOCK", 4)
    yield


def test_what_is_read_is_what_the_teacher_says(scenes: WeakDataset, tmp_path: Path) -> None:
    teacher = Counting()
    done = cache_candidates(scenes, teacher, tmp_path, progress=False)
    assert (done.images, done.made, teacher.seen) == (COUNT, 6, 6)
    taught = TeachingDataset(scenes, done.cache)
    instances = 0
    for index in range(COUNT):
        sample = taught[index].check()
        if sample.label.kind in (LabelKind.TAG, LabelKind.MASK):
            assert sample.label.candidates is None
            continue
        (said,) = teacher.candidates([sample.image], [prompts_of(sample.label)])
        assert torch.equal(sample.label.candidates.masks, said.masks)
        assert torch.equal(sample.label.candidates.quality, said.scores.clamp(0, 1))
        instances += len(sample.label)
    assert done.instances == instances
    assert done.bytes_per_instance == done.stored_bytes / instances > 0


def test_boxes_and_points_beside_tags_are_taught_and_tags_are_not(
    scenes: WeakDataset, tmp_path: Path
) -> None:
    ceilings = [LabelKind.TAG, LabelKind.TAG, *[LabelKind.BOX] * 2, *[LabelKind.POINT] * 2]
    whole = WorldDataset(WorldSpec(categories=6, size=64), seed=3, count=COUNT)
    mixed = WeakDataset(whole, [LabelKind.MASK] * COUNT, seed=0, ceilings=ceilings)
    teacher = Counting()
    taught = TeachingDataset(
        mixed, cache_candidates(mixed, teacher, tmp_path, progress=False).cache
    )
    seen = set()
    for index in range(COUNT):
        sample = taught[index].check()
        label, kinds = sample.label, sample.label.entry_kinds.tolist()
        asked = [entry for entry, kind in enumerate(kinds) if kind > LabelKind.TAG]
        seen.add((0 in kinds, len(asked) > 0))
        if not asked:
            assert label.candidates is None
            continue
        boxed = [entry for entry in asked if kinds[entry] == LabelKind.BOX]
        if boxed:
            prompts = Prompts(boxes=label.boxes[boxed])
            (said,) = teacher.candidates([sample.image], [prompts])
            assert torch.equal(label.candidates.masks[boxed], said.masks)
        tagged = [entry for entry, kind in enumerate(kinds) if kind == LabelKind.TAG]
        assert not label.candidates.masks[tagged].any()
        assert not label.candidates.quality[tagged].any()
    assert (True, True) in seen, "an image with both"


def test_a_second_pass_reads_no_image(
    scenes: WeakDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cache_candidates(scenes, Counting(), tmp_path, progress=False)

    def refuse(self: WeakDataset, index: int) -> Sample:
        raise AssertionError("read")

    monkeypatch.setattr(WeakDataset, "__getitem__", refuse)
    teacher = Counting()
    second = cache_candidates(scenes, teacher, tmp_path, progress=False)
    assert teacher.seen == second.made == 0
    assert second.instances == first.instances and second.stored_bytes == first.stored_bytes


@pytest.mark.parametrize("stop_at", range(6))
def test_stopped_anywhere_it_goes_on(scenes: WeakDataset, tmp_path: Path, stop_at: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        cache_candidates(scenes, Counting(stop_at=stop_at), tmp_path, progress=False)
    teacher = Counting()
    done = cache_candidates(scenes, teacher, tmp_path, progress=False)
    assert teacher.seen == 6 - stop_at
    straight = cache_candidates(scenes, Counting(), tmp_path / "straight", progress=False)
    one, other = TeachingDataset(scenes, done.cache), TeachingDataset(scenes, straight.cache)
    for index in range(1, COUNT, 4):
        a, b = one[index].label.candidates, other[index].label.candidates
        assert torch.equal(a.masks, b.masks) and torch.equal(a.quality, b.quality)


def test_a_change_makes_anew_exactly_what_it_touches(scenes: WeakDataset, tmp_path: Path) -> None:
    cache_candidates(scenes, Counting(), tmp_path, progress=False)
    point, box = scenes[1], scenes[2]
    moved = replace(point.label, points=point.label.points.flip(0) + 0.25)
    darker = replace(box, image=box.image * 0.5)
    renamed = replace(scenes[5].label, categories=scenes[5].label.categories * 0)
    changed = Changed(
        scenes,
        {1: replace(point, label=moved), 2: darker, 5: replace(scenes[5], label=renamed)},
    )
    teacher = Counting()
    done = cache_candidates(changed, teacher, tmp_path, progress=False)
    assert teacher.seen == done.made == 2
    # And back again: what was made before is still there.
    teacher = Counting()
    assert cache_candidates(scenes, teacher, tmp_path, progress=False).made == 0
    with pytest.raises(ValueError, match="another teacher"):
        cache_candidates(scenes, Counting("two"), tmp_path, progress=False)


def test_a_damaged_file_is_made_again_alone(scenes: WeakDataset, tmp_path: Path) -> None:
    cache_candidates(scenes, Counting(), tmp_path, progress=False)
    files = sorted(tmp_path.glob("??/*.masks.gz"))
    assert len(files) == 6
    content = files[1].read_bytes()
    files[1].write_bytes(content[:-1])
    teacher = Counting()
    with pytest.warns(UserWarning, match=f"{files[1].name}: damaged; what it held is made again"):
        cache_candidates(scenes, teacher, tmp_path, progress=False)
    assert teacher.seen == 1
    assert files[1].read_bytes() == content
    assert sorted(tmp_path.glob("??/*.masks.gz")) == files


def test_shares_together_are_the_whole(scenes: WeakDataset, tmp_path: Path) -> None:
    made = []
    for part in (3, 1, 2):
        done = cache_candidates(scenes, Counting(), tmp_path, share=(part, 3), progress=False)
        made.append((done.images, done.made))
        if part != 2:
            with pytest.raises(ValueError, match="are missing"):
                TeachingDataset(scenes, done.cache)
    assert made == [(4, 2)] * 3
    assert len(TeachingDataset(scenes, done.cache)) == COUNT
    for share in ((0, 2), (3, 2), (-1, -1)):
        with pytest.raises(ValueError, match="must be i/n"):
            cache_candidates(scenes, Counting(), tmp_path, share=share, progress=False)


def test_bad_prompts_are_named_and_the_rest_is_kept(scenes: WeakDataset, tmp_path: Path) -> None:
    outside = Label(LabelKind.POINT, torch.tensor([0]), points=torch.tensor([[3.0, 64.5]]))
    flat = Label(LabelKind.BOX, torch.tensor([0]), boxes=torch.tensor([[3.0, 3.0, 3.0, 9.0]]))
    for label, message in (
        (outside, r"image 3: entry 0: point \(3, 64.5\) lies outside the image of 64 x 64"),
        (flat, r"image 3: entry 0: box \(3, 3, 3, 9\) is empty"),
    ):
        bad = Changed(scenes, {2: replace(scenes[2], label=label)})
        with pytest.raises(ValueError, match=message):
            cache_candidates(bad, Counting(), tmp_path, progress=False)
    teacher = Counting()
    cache_candidates(scenes, teacher, tmp_path, progress=False)
    assert teacher.seen == 5  # the point of image 2 was made before the first bad prompt


def test_points_and_boxes_in_one_image(scenes: WeakDataset, tmp_path: Path) -> None:
    label = Label(
        LabelKind.POINT,
        torch.tensor([0, 1, 2]),
        points=torch.tensor([[0.0, 0.0], [30.5, 20.5], [0.0, 0.0]]),
        boxes=torch.tensor([[5.0, 8.0, 40.0, 50.0], [0.0] * 4, [1.0, 1.0, 20.0, 20.0]]),
        kinds=torch.tensor([2, 1, 2], dtype=torch.uint8),
    )
    dataset = Changed(scenes, {2: replace(scenes[2], label=label)})
    teacher = Counting()
    taught = TeachingDataset(
        dataset, cache_candidates(dataset, teacher, tmp_path, progress=False).cache
    )
    found = taught[2].check().label.candidates
    image = [scenes[2].image]
    (boxes,) = teacher.candidates(image, [Prompts(boxes=label.boxes[[0, 2]])])
    (points,) = teacher.candidates(image, [Prompts(points=label.points[[1]])])
    assert torch.equal(found.masks[[0, 2]], boxes.masks)
    assert torch.equal(found.masks[[1]], points.masks)
    assert torch.equal(found.quality[[1]], points.scores.clamp(0, 1))


def test_many_prompts_and_none(scenes: WeakDataset, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(150, 2, generator=generator) * 64
    many = Label(LabelKind.POINT, torch.zeros(150, dtype=torch.int64), points=points)
    none = Label(LabelKind.BOX, torch.zeros(0, dtype=torch.int64), boxes=torch.zeros(0, 4))
    labels = {1: many, 2: none}
    dataset = Changed(scenes, {i: replace(scenes[i], label=x) for i, x in labels.items()})
    teacher = Counting()
    taught = TeachingDataset(
        dataset, cache_candidates(dataset, teacher, tmp_path, progress=False).cache
    )
    assert taught[2].check().label.candidates.masks.shape == (0, 3, 64, 64)
    (said,) = teacher.candidates([scenes[1].image], [prompts_of(many)])
    found = taught[1].check().label.candidates
    why = "the pass asks for its prompts in portions; here all 150 are asked at once"
    close(found.quality, said.scores.clamp(0, 1), why, atol=1e-5)
    assert (found.masks != said.masks).float().mean() < 1e-3


def test_two_at_once_share_the_work(scenes: WeakDataset, tmp_path: Path) -> None:
    teachers = [Counting(), Counting()]
    with ThreadPoolExecutor() as pool:
        jobs = [
            pool.submit(cache_candidates, scenes, t, tmp_path, progress=False) for t in teachers
        ]
        done = [job.result() for job in jobs]
    assert sum(teacher.seen for teacher in teachers) == 6
    for one in done:
        assert len(TeachingDataset(scenes, one.cache)) == COUNT
        assert one.instances == done[0].instances > 0
    assert not list((tmp_path / "claims").iterdir())


def test_the_small_teacher_of_these_tests_says_something(scenes: WeakDataset) -> None:
    """Else all that is compared above could be equal for want of any difference."""
    teacher = Counting()
    found = [
        teacher.candidates([scenes[i].image], [prompts_of(scenes[i].label)])[0]
        for i in (1, 2, 5, 6)
    ]
    shares = [float(candidates.masks.float().mean()) for candidates in found]
    scores = [float(candidates.scores.mean()) for candidates in found]
    assert all(0.02 < share < 0.98 for share in shares + scores)
    assert len(set(shares)) == len(set(scores)) == len(found)
