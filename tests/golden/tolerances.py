"""How far a golden number may lie from its record on another processor, and why.

Relative; near zero a hundredth of it (`compare.moved`). A recorded number comes from one x86-64
processor. It must hold on any other and on Arm, where the same operations give other last digits.
Digests are of integers, booleans, names and numbers that are halves of pixels: those are the same
everywhere, since their draws are of integers and of uniform numbers.

Two measurements stand behind the numbers. Seen: the largest move over PyTorch's, oneDNN's, MKL's,
OpenBLAS's, NumPy's, OpenCV's and glibc's kernels without AVX, AVX2, AVX-512 and FMA, and over one
and two threads (`make test-numerics`). Imitated: the largest move where every sum, product of
matrices and transcendental function is off by up to two units in the last place, which stands for
processors that are not at hand (`python -m tests.golden.spread`).

| part | seen | imitated | what moves |
|---|---|---|---|
| world | 0 | 3e-7 | nothing; a sine may put one pixel of 1,000 on the other side of an edge |
| coco, voc, labels | 0 | 0 | doubles and whole numbers |
| visual-genome | 0 | 2e-7 | a mean over pixels in float32 |
| grabcut | 0 | - | nothing; one pixel at a rim is 5e-3 of the smallest mask |
| mask_rcnn | 8e-3 | 3e-2 | see `AFTER_A_STEP` |
| transfer | 1e-6 | 2e-3 | as mask_rcnn |
| pipeline | 5e-7 | 2e-4 | as mask_rcnn |
| wish | 3e-5 | 3e-5 | a query may match another instance, as two costs are nearly equal |
| pseudo_points | 0 | 4e-7 | a mean of float32 peaks; peaks themselves stay |
| engine | 3e-7 | 4e-7 | see `BF16` |
| evaluation | 0 | 0 | doubles: counts and their ratios |
"""

from fnmatch import fnmatchcase

TOLERANCES = {
    "world": 1e-3,
    "coco": 1e-6,
    "voc": 1e-6,
    "visual-genome": 1e-5,
    "labels": 1e-6,
    "grabcut": 1e-2,
    "mask_rcnn": 2e-2,
    "transfer": 2e-2,
    "wish": 2e-2,
    "pseudo_points": 1e-5,
    "engine": 1e-4,
    "evaluation": 1e-6,
    "pipeline": 2e-2,
}
# Once weights have moved, two proposals whose scores are nearly equal may change places. Other
# regions are then sampled, and these losses are means over few of them (loss_box_reg over one or
# two). Before the first step the largest such move was 2e-4, imitated.
AFTER_A_STEP = {
    f"*step {step}.{loss}": 0.1
    for step in (2, 3)
    for loss in ("loss_classifier", "loss_box_reg", "loss_mask")
}
# A number in bf16 has eight bits: where a sum rounds to the other neighbour it moves by 4e-3, and
# weights are what is left of such terms (imitated 2e-2).
BF16 = {"bf16.*": 0.05}
LOOSER = {"mask_rcnn": AFTER_A_STEP, "transfer": AFTER_A_STEP, "pipeline": AFTER_A_STEP,
          "engine": BF16}  # fmt: skip


def tolerance_of(part: str, name: str) -> float:
    """The relative tolerance of one number of a part."""
    for pattern, tolerance in LOOSER.get(part, {}).items():
        if fnmatchcase(name, pattern):
            return tolerance
    return TOLERANCES[part]
