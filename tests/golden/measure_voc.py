"""What is read from a VOC folder: names, masks, boxes and truth of a miniature."""

import tempfile
from pathlib import Path


def voc() -> dict[str, float | str]:
    """Labels and truth of both lists of the miniature that dry runs use."""
    from tests.golden.golden_numbers import exact
    from wsisbook.plan.dry_run_data import write_voc
    from wsislib.data.photographs.voc import VocDataset

    numbers: dict[str, float | str] = {}
    with tempfile.TemporaryDirectory() as folder:
        write_voc(Path(folder), {"trainaug": 2, "val": 1})
        for split in ("trainaug", "val"):
            data = VocDataset(Path(folder), split)
            labels = [data[i].label for i in range(len(data))]
            boxes = [box for label in labels for box in label.boxes.tolist()]
            numbers[f"{split}.images"] = exact(data.image_ids)
            numbers[f"{split}.labels"] = exact([label.categories.tolist() for label in labels])
            numbers[f"{split}.boxes"] = float(sum(map(sum, boxes)))
            numbers[f"{split}.masks"] = float(sum(int(label.masks.sum()) for label in labels))
            numbers[f"{split}.truth"] = exact(data.ground_truth()["annotations"])
    return numbers
