"""Candidates are found by teacher, image and label, and by nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from wsislib.data.sample import Label, LabelKind, Sample
from wsislib.labels.datasets import WeakDataset
from wsislib.labels.mask_store import blocks_of
from wsislib.teacher.teacher_cache import TeacherCache
from wsislib.teacher.teaching import TeachingDataset


def sample(**changes: object) -> Sample:
    image = torch.rand(3, 6, 8, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([[1.0, 1.0, 4.0, 4.0], [0.0, 2.0, 8.0, 6.0]])
    label = Label(LabelKind.BOX, torch.tensor([0, 4]), boxes=boxes)
    return Sample(image, 3, replace(label, **changes)).check()


def test_the_key_is_of_teacher_image_and_prompts(tmp_path: Path) -> None:
    cache = TeacherCache(tmp_path / "a", "one")
    given = sample()
    key = cache.key(given)
    assert key == cache.key(sample()) == TeacherCache(tmp_path / "b", "one").key(given)
    # Neither category nor image id nor what lies below eight bits changes what a teacher sees.
    assert key == cache.key(sample(categories=torch.tensor([1, 1])))
    assert key == cache.key(replace(given, image_id=9))
    assert key == cache.key(replace(given, image=(given.image * 255).round() / 255))
    boxes = given.label.boxes.clone()
    boxes[0, 0] += 0.25
    brighter = given.image.clone()
    brighter[0, 0, 0] = 1 - brighter[0, 0, 0].round()
    points = Label(LabelKind.POINT, torch.tensor([0, 4]), points=boxes[:, :2])
    others = [
        cache.key(sample(boxes=boxes)),
        cache.key(sample(boxes=given.label.boxes.flip(0))),
        cache.key(replace(given, image=brighter)),
        cache.key(replace(given, image=given.image.reshape(3, 8, 6))),
        cache.key(replace(given, label=points)),
        TeacherCache(tmp_path / "c", "two").key(given),
    ]
    assert len({key, *others}) == 7 and None not in others


def test_tags_and_masks_ask_for_nothing(tmp_path: Path, blobs) -> None:
    cache = TeacherCache(tmp_path, "one")
    assert cache.key(blobs[0]) is None
    tags = WeakDataset(blobs, [LabelKind.TAG] * len(blobs), seed=0)
    assert cache.key(tags[0]) is None


def fill(cache: TeacherCache, dataset) -> None:
    for rows in blocks_of(len(dataset)):
        keys = tuple(cache.key(dataset[row]) for row in rows)
        for row, key in zip(rows, keys, strict=True):
            count = len(dataset[row].label)
            masks = torch.zeros(count, 3, 20, 24, dtype=torch.bool)
            cache.store.write(key, masks.numpy(), torch.full((count, 3), 0.5).numpy())
        cache.write_list(dataset.fingerprint(), rows, keys)


def test_a_data_set_is_there_when_all_of_it_is(tmp_path: Path, blobs) -> None:
    boxes = WeakDataset(blobs, [LabelKind.BOX] * len(blobs), seed=0)
    points = WeakDataset(blobs, [LabelKind.POINT] * len(blobs), seed=0)
    cache = TeacherCache(tmp_path, "one", "a teacher")
    fill(cache, boxes)
    keys = cache.keys(boxes)
    assert keys == tuple(cache.key(boxes[i]) for i in range(len(boxes)))
    assert cache[keys[2]].masks.shape == (len(boxes[2].label), 3, 20, 24)
    with pytest.raises(ValueError, match="'a teacher' are missing .* 1 of 1 .*wsis teach"):
        cache.keys(points)
    # The list alone is not enough, nor is a list that was altered.
    (listed,) = tmp_path.glob("data-*/*.keys")
    text = listed.read_text()
    for altered in (text[:-2], text.replace(keys[0], "0" * 32), "", "\xff"):
        listed.write_text(altered, encoding="latin-1")
        with pytest.raises(ValueError, match="missing or damaged"):
            TeacherCache(tmp_path).keys(boxes)
    listed.write_text(text)
    assert TeacherCache(tmp_path).keys(boxes) == keys
    next(tmp_path.glob("??/*.masks.gz")).unlink()
    with pytest.raises(ValueError, match="missing or damaged"):
        TeacherCache(tmp_path).keys(boxes)


def test_a_cache_is_of_one_teacher(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no teacher's cache here; `wsis teach` makes one"):
        TeacherCache(tmp_path)
    TeacherCache(tmp_path, "one", "tiny")
    assert TeacherCache(tmp_path).teacher == "tiny"
    assert TeacherCache(tmp_path, "one", "tiny").fingerprint == "one"
    message = "another teacher \\('tiny', fingerprint one, wanted 'vit', fingerprint two\\)"
    with pytest.raises(ValueError, match=message):
        TeacherCache(tmp_path, "two", "vit")
    (tmp_path / "about.json").write_text("[]")
    with pytest.raises(ValueError, match="about.json: not a cache of this version"):
        TeacherCache(tmp_path, "one")


def test_damage_is_named_when_the_candidates_are_read(tmp_path: Path, blobs) -> None:
    boxes = WeakDataset(blobs, [LabelKind.BOX] * len(blobs), seed=0)
    fill(TeacherCache(tmp_path, "one"), boxes)
    cache = TeacherCache(tmp_path)
    taught = TeachingDataset(boxes, cache)
    path = cache.store.path(cache.key(boxes[2]))
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"image 8: .*{path.name}: damaged or gone.*wsis teach"):
        taught[2]
    assert taught[1].label.candidates is not None
