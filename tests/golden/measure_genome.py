"""What is read from Visual Genome's own files: classes, parts, boxes and pixels of a miniature."""

import tempfile
from pathlib import Path


def visual_genome() -> dict[str, float | str]:
    """Categories, parts, labels and truth of the miniature in tests/miniatures."""
    from tests.golden.golden_numbers import exact
    from tests.miniatures import visual_genome as miniature
    from wsislib.data.visual_genome.dataset import VisualGenome

    numbers: dict[str, float | str] = {}
    with tempfile.TemporaryDirectory() as folder:
        genome = VisualGenome(
            miniature.write(Path(folder)),
            miniature.VAL_IDS,
            class_count=miniature.CLASS_COUNT,
            test_count=miniature.TEST_COUNT,
            coco_names=miniature.NAMES,
        )
        numbers["categories"] = exact([category.name for category in genome.categories])
        numbers["dropped"] = exact(genome.dropped)
        for part in ("train", "val", "test"):
            data = genome.dataset(part)
            samples = [data[i] for i in range(len(data))]
            boxes = [box for s in samples for box in s.label.boxes.tolist()]
            labels = [s.label.categories.tolist() for s in samples]
            numbers[f"{part}.images"] = exact(data.image_ids)
            numbers[f"{part}.labels"] = exact(labels)
            numbers[f"{part}.boxes"] = float(sum(map(sum, boxes)))
            numbers[f"{part}.pixels"] = float(sum(float(s.image.mean()) for s in samples))
            numbers[f"{part}.truth"] = exact(data.ground_truth()["annotations"])
    return numbers
