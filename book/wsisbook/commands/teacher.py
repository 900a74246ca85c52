"""`wsis teacher`: train, evaluate and install the weights that ship with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from wsislib.cli import DONE

Name = Literal["photo-sam", "tiny-sam", "lab-backbone", "start-mask2former", "start-mask-rcnn"]


def train_weights(
    name: Positional[Name], /, *, out: Path | None = None, data: Path | None = None,
    scale: Literal["lab", "smoke"] = "lab", device: str = "auto",
) -> int:  # fmt: skip
    """Train weights by their recipe, evaluate them and write them with a manifest.

    Stopped at any moment, the same command resumes. Nothing of the package changes until
    `wsis teacher install`.

    Args:
        name: photo-sam, the teacher for photographs; tiny-sam, the lab's; lab-backbone, the start
            of lab models (and of the tiny SAM: train and install it first); start-mask2former and
            start-mask-rcnn, what `wsis train --start ours` begins with (from sam-photos, a folder
            of WSIS_DATA).
        out: folder for checkpoints and weights; build/teacher/<name> if not given.
        data: of photo-sam: the folder of `sam-photos`; sam-photos in the data folder (WSIS_DATA,
            else data) if not given.
        scale: lab follows the recipe; smoke goes through the same steps in seconds.
        device: auto, cpu, cuda or mps.
    """
    folder = out or _folder(name, scale)
    if name == "photo-sam":
        from wsisbook.recipes.photo_sam_recipe import PhotoSamRecipe, train_photo_sam
        from wsisbook.runs.paths import data_folder

        photo = PhotoSamRecipe() if scale == "lab" else PhotoSamRecipe.smoke()
        path = train_photo_sam(photo, data or data_folder() / "sam-photos", folder, device)
    elif name == "tiny-sam":
        from wsisbook.recipes.tiny_sam_recipe import TinySamRecipe, train_tiny_sam

        sam = TinySamRecipe() if scale == "lab" else TinySamRecipe.smoke()
        path = train_tiny_sam(sam, folder, device)
    elif name != "lab-backbone":
        from wsisbook.recipes.start_weights import PHOTOGRAPHS, StartRecipe, train_start
        from wsisbook.runs.paths import data_folder

        model: Literal["wish", "mask-rcnn"]
        model = "wish" if name == "start-mask2former" else "mask-rcnn"
        recipe = StartRecipe(model=model) if scale == "lab" else StartRecipe.smoke(model)
        fetch = scale == "lab"
        path = train_start(recipe, data_folder() / PHOTOGRAPHS, folder, device, fetch=fetch)
    else:
        from wsisbook.recipes.lab_backbone_recipe import LabBackboneRecipe, train_lab_backbone

        start = LabBackboneRecipe() if scale == "lab" else LabBackboneRecipe.smoke()
        path = train_lab_backbone(start, folder, device)
    print(f"written: {path} with its manifest; `wsis teacher install {name}` puts them to use")
    return DONE


def install(name: Positional[Name], /, *, out: Path | None = None) -> int:
    """Put trained weights and their manifest into the package.

    Args:
        name: as `wsis teacher train` was given it.
        out: the folder that they were trained in; build/teacher/<name> if not given.
    """
    from wsisbook.recipes.package_weights import install_weights

    print(f"installed: {install_weights(out or _folder(name, 'lab'), name.replace('-', '_'))}")
    return DONE


def measure(
    teacher: Positional[Annotated[str, arg(metavar="TEACHER")]] = "tiny",
    /, *, data: Path | None = None, out: Path | None = None, scenes: int = 100,
    device: str = "auto",
) -> int:  # fmt: skip
    """Evaluate a teacher: IoU of its candidates for boxes and for points with true masks.

    Args:
        teacher: photo, tiny, or the path of a published SAM checkpoint.
        data: a COCO file of photographs with masks, `images` beside it; the filled box and
            GrabCut are then measured as well. Scenes of the lab's two worlds if not given.
        out: of photographs: a JSON file that gets the numbers, beside those of other teachers.
        scenes: how many, in each of two worlds.
        device: auto, cpu, cuda or mps.
    """
    if data is not None:
        return _measure_photographs(teacher, data, out, device)
    from wsisbook.recipes.tiny_sam_recipe import TinySamRecipe, measure_on_held_out
    from wsislib.engine.device import pick_device
    from wsislib.models.sam.sam_weights import load_sam

    chosen = load_sam(teacher).to(pick_device(device))
    for world, quality in measure_on_held_out(chosen, TinySamRecipe(held_out=scenes)).items():
        print(f"{world} world".ljust(16) + "best of three   chosen by score   masks")
        for kind in ("box", "point"):
            for level, row in quality[kind].items():
                numbers = f"{row['best']:11.3f} {row['chosen']:17.3f} {row['masks']:9d}"
                print(f"  {kind} of {level}".ljust(18) + numbers)
    return DONE


def _measure_photographs(teacher: str, data: Path, out: Path | None, device: str) -> int:
    from wsisbook.recipes.photo_quality import measure_on_photographs
    from wsisbook.recipes.photo_sam_recipe import photographs
    from wsislib.atomic import read_json, write_json
    from wsislib.engine.device import pick_device
    from wsislib.models.sam.sam_weights import load_sam

    chosen = load_sam(teacher).to(pick_device(device))
    dataset = photographs(data)
    quality = measure_on_photographs(chosen, dataset, baselines=True, progress=True)
    if out is not None:
        known = read_json(out) if out.exists() else {}
        facts = {"sha256": chosen.fingerprint, "data": dataset.fingerprint(), "quality": quality}
        write_json(out, {**known, chosen.name: facts})
    print("".ljust(22) + "best of three   chosen by score   masks")
    for kind, sizes in quality.items():
        for size, row in sizes.items():
            numbers = f"{row['best']:13.3f} {row['chosen']:17.3f} {row['masks']:7d}"
            print(f"{kind}, {size}".ljust(22) + numbers)
    return DONE


def _folder(name: str, scale: str) -> Path:
    from wsisbook.runs.paths import build_folder

    return build_folder() / "teacher" / (name if scale == "lab" else f"{name}-{scale}")
