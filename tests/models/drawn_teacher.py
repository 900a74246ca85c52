"""A teacher for tests: SAM's own prompt encoder, and discs around a prompt as candidates."""

import torch

from wsislib.models.sam.sam import Embedded, MaskCandidates, Teacher
from wsislib.models.sam.tiny_sam import tiny_sam
from wsislib.models.wish.builders import wish_lab
from wsislib.models.wish.wish import WISH


class DrawnTeacher(Teacher):
    """Discs of three sizes."""

    scores = (0.5, 0.9, 0.3)  # the last is below half of the best

    def embed(self, images):
        sizes = tuple((image.shape[-2], image.shape[-1]) for image in images)
        return Embedded(torch.zeros(len(images), 1, 1, 1), sizes, sizes)

    def candidates(self, images, prompts, closer=True):
        images = images if isinstance(images, Embedded) else self.embed(images)
        return [self._discs(size, one) for size, one in zip(images.sizes, prompts, strict=True)]

    def _discs(self, size, prompts):
        middle = prompts.points
        if middle is None:
            middle = (prompts.boxes[:, :2] + prompts.boxes[:, 2:]) / 2
        y, x = torch.meshgrid(*(torch.arange(side) + 0.5 for side in size), indexing="ij")
        far = torch.hypot(x - middle[:, :1, None], y - middle[:, 1:, None])  # (N, H, W)
        logits = torch.stack([radius - far for radius in (2.0, 5.0, 9.0)], 1)
        return MaskCandidates(logits, torch.tensor(self.scores).repeat(len(middle), 1), logits)


def drawn_teacher(side: int = 96) -> DrawnTeacher:
    return DrawnTeacher(tiny_sam(3, 16, side, (4, 4, 4, 4)), "drawn", "0")


def random_student(categories: int = 5) -> WISH:
    """The lab's WISH with random weights."""
    return wish_lab(categories, drawn_teacher(), seed=1)
