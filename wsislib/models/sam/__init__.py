"""SAM as a teacher: one interface to the tiny SAM of the package and to published ones.

Names of `tiny_sam` and `sam_training` are not here, as importing them needs `segment_anything`.
"""

from wsislib.models.sam.prompts import Prompts, prompts_of
from wsislib.models.sam.sam import Embedded, MaskCandidates, Teacher
from wsislib.models.sam.sam_weights import CHECKPOINTS, load_sam

__all__ = [
    "CHECKPOINTS", "Embedded", "MaskCandidates", "Prompts", "Teacher", "load_sam", "prompts_of"
]  # fmt: skip
