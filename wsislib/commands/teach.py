"""`wsis teach`: a teacher's candidates for weakly labelled images, made once and cached."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from wsislib.cli import DONE
from wsislib.models.teacher_names import DEFAULT_TEACHER, WORLD_TEACHER

SamModel = Literal["vit_b", "vit_l", "vit_h"]


def teach(
    annotations: Path | None = None,
    /,
    *,
    out: Path,
    images: Path | None = None,
    kind: Literal["file", "point", "box"] = "file",
    seed: int = 0,
    world: int | None = None,
    categories: int = 80,
    size: int = 96,
    sam: Path | None = None,
    sam_model: SamModel | None = None,
    shard: str = "1/1",
    device: str = "auto",
) -> int:
    """Make a teacher's three candidate masks for every point and box, and keep them in a cache.

    Stopped at any moment, the same command goes on where it was. What has not changed since is
    not made again. Several processes may fill one cache at once, on one data set too.

    Args:
        annotations: COCO JSON file with points or boxes (or with masks, see --kind).
        out: folder of the cache.
        images: folder that the file names are relative to; `images` beside the annotations
            where not given.
        kind: file takes labels as they are (masks and tags are passed by); box reads masks as
            their boxes; point takes a random point of each mask.
        seed: of the random points; of the scenes with --world.
        world: instead of a file, this many scenes of the procedural world (box or point).
        categories: of the world.
        size: of the world's scenes, pixels.
        sam: a published SAM checkpoint, or a SAM of the package by name (tiny); the package's
            where not given.
        sam_model: which SAM that is; from the file's name where not given.
        shard: i/n does the i-th of n shares, for jobs on a cluster.
        device: auto, cpu, cuda or mps.
    """
    from wsislib.data.sample import Dataset, LabelKind
    from wsislib.data.world import WorldDataset, WorldSpec
    from wsislib.engine.device import describe_device, pick_device
    from wsislib.labels.datasets import WeakDataset
    from wsislib.models.sam.sam_weights import load_sam
    from wsislib.photos.data import read_weak
    from wsislib.teacher.caching import cache_candidates

    share = _share(shard)
    if sam is None and sam_model is not None:
        raise ValueError("--sam-model is of a checkpoint; give its path with --sam")
    if (annotations is None) == (world is None):
        raise ValueError("give either a COCO JSON file or --world with a number of scenes")
    if world is not None and (kind == "file" or world < 1):
        raise ValueError("--world wants 1 scene at least, and --kind point or box")
    chosen = pick_device(device)
    usual = DEFAULT_TEACHER if world is None else WORLD_TEACHER
    teacher = load_sam(usual if sam is None else sam, sam_model)
    if world is None:
        assert annotations is not None
        dataset: Dataset = read_weak(annotations, images, kind, seed)
    else:
        scenes = WorldDataset(WorldSpec(categories=categories, size=size), seed=seed, count=world)
        dataset = WeakDataset(scenes, [LabelKind[kind.upper()]] * world, seed)
    print(f"{len(dataset)} images, teacher {teacher.name} on {describe_device(chosen)}")
    done = cache_candidates(dataset, teacher.to(chosen), out, share)
    part = "" if share[1] == 1 else f"share {shard}: "
    print(
        f"{part}{done.images} images, {done.instances} instances with candidates "
        f"({done.made} images made now): {out}"
    )
    if done.instances:
        print(f"{done.bytes_per_instance:.0f} bytes an instance on disk")
    elif kind == "file":
        print("nothing to teach: no points or boxes; --kind box or point weakens masks")
    return DONE


def _share(text: str) -> tuple[int, int]:
    """(i, n) of "i/n"."""
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    share = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= share[0] <= share[1]:
        raise ValueError(f"--shard {text}: must be i/n with 1 <= i <= n, such as 2/8")
    return share
