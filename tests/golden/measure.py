"""Tiny runs of every part, and the numbers that they give.

Each function measures one part of `wsisbook.runs.parts` and uses no other part where it can, so
that a moved number points at the part that moved. Things that must be equal to the last digit
(names, ids) go in as digests.
"""

from collections.abc import Callable

from tests.golden.golden_numbers import Numbers
from tests.golden.measure_data import coco, labels, world
from tests.golden.measure_engine import engine, evaluation, pipeline
from tests.golden.measure_genome import visual_genome
from tests.golden.measure_grabcut import grabcut
from tests.golden.measure_mask_rcnn import mask_rcnn, transfer
from tests.golden.measure_voc import voc
from tests.golden.measure_wish import pseudo_points, wish

MEASURES: dict[str, Callable[[], Numbers]] = {
    "world": world,
    "coco": coco,
    "voc": voc,
    "visual-genome": visual_genome,
    "labels": labels,
    "grabcut": grabcut,
    "mask_rcnn": mask_rcnn,
    "transfer": transfer,
    "wish": wish,
    "pseudo_points": pseudo_points,
    "engine": engine,
    "evaluation": evaluation,
    "pipeline": pipeline,
}
