"""WISH (Kweon and Yoon, CVPR 2025): one Mask2Former that learns from tags, points, boxes and masks.

`losses` is the paper's figure: queries predict a class, a mask and a prompt; labels of every kind
become instances with a prompt and candidate masks; one matcher pairs them at class + prompt + mask
cost; the losses are the same three terms on the pairs, beside the two of the CAM branch. At
inference it is a Mask2Former: neither the teacher nor the other heads are used. Equation numbers
are those of the public summary of the paper, whose own may differ.

What that summary leaves open, and what stands here:

- Weights are 2 (class), 5 (prompt) and 5 (mask), the mask term being cross-entropy + Dice. They
  are in `cost_weights` of the segmenter and in the engine's `loss_weights`, and nowhere else. (A
  re-implementation multiplies 5 BCE + 5 Dice by 5 once more.)
- A tag-labelled image without any pseudo point, as all are during `cam_warmup`, teaches the CAM
  branch alone. Its queries are not told "no object": it holds objects at unknown places.
- `cam_warmup` and `self_start` count training steps. The count is a buffer, so that a run resumed
  from a checkpoint continues it.
- Categories that no query predicts have no self-enhancement loss, see `losses/cams.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wsislib.data.sample import Detections, Sample
from wsislib.losses.cams import self_loss, self_targets, tag_logits, tag_loss
from wsislib.losses.prompts import PromptDistance, prompt_loss, prompt_term
from wsislib.matching import Matches
from wsislib.models.mask2former.mask2former import Mask2Former
from wsislib.models.mask2former.query_decoder import Predictions
from wsislib.models.sam.prompts import Size
from wsislib.models.sam.sam import Teacher
from wsislib.models.wish.cam import CamHead, Cams, tag_table
from wsislib.models.wish.candidate_choice import Choice, Gate
from wsislib.models.wish.label_completion import CompletedSample, add_pseudo_labels
from wsislib.models.wish.prompt_head import PromptHead
from wsislib.models.wish.prompts_from_masks import prompts_from_masks
from wsislib.models.wish.pseudo_points import PeakRule
from wsislib.models.wish.statistics import step_statistics
from wsislib.models.wish.targets import WishTargets, wish_targets


@dataclass(frozen=True)
class MatchedBatch:
    """A batch of B images, predicted, labelled and matched.

    Attributes:
        predictions: of L layers of Q queries.
        prompts: (L, B, Q, T, D), Z_hat.
        cams: activation maps.
        completed: the samples with pseudo points and candidates.
        targets: N instances with prompts and candidate masks.
        matches: which query is matched to which instance.
    """

    predictions: Predictions
    prompts: Tensor
    cams: Cams
    completed: Sequence[CompletedSample]
    targets: WishTargets
    matches: Matches


class WISH(nn.Module):
    """A Mask2Former with a prompt head and a CAM branch, taught by a frozen SAM.

    Args:
        segmenter: its `cost_weights` have a "prompt" beside class, mask and dice.
        prompt_head: predicts Z_hat.
        cam_head: predicts activation maps.
        teacher: no part of the model; moved to where the images are.
        distance: of prompts, in cost and loss.
        gate: leaves candidates out; None lets all through.
        peaks: how pseudo points are matched.
        cam_warmup: steps before activation maps give pseudo points.
        self_start: steps before predicted masks teach activation maps; None is never.
        choice: of one candidate beforehand, where the matcher is not to choose.
    """

    steps: Tensor

    def __init__(
        self,
        segmenter: Mask2Former,
        prompt_head: PromptHead,
        cam_head: CamHead,
        teacher: Teacher,
        distance: PromptDistance | None = None,
        gate: Gate | None = None,
        peaks: PeakRule | None = None,
        cam_warmup: int = 0,
        self_start: int | None = 0,
        choice: Choice = "adaptive",
    ) -> None:
        super().__init__()
        assert not isinstance(teacher, nn.Module), "a teacher must not be saved with the model"
        self.segmenter, self.prompt_head, self.cam_head = segmenter, prompt_head, cam_head
        self.teacher, self.gate, self.choice = teacher, gate, choice
        self.distance, self.peaks = distance or PromptDistance(), peaks or PeakRule()
        self.cam_warmup, self.self_start = cam_warmup, self_start
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self._statistics: dict[str, Tensor] = {}

    def losses(
        self, batch: Sequence[Sample], generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Named, unweighted losses of a batch in which each image may have its own kind of label.

        Args:
            batch: where points and boxes carry no candidates, the teacher is asked for them.
            generator: draws the points of the mask losses; None is torch's global one.

        Returns:
            loss_class, loss_mask, loss_dice, loss_prompt (each summed over decoder layers),
            loss_cam and loss_self, float32 scalars. For their weights see
            `builders.wish_loss_weights`.

        Raises:
            ValueError: all of an image's matching costs are not finite.
        """
        step = self._count()
        matched = self.pair(batch, generator, step >= self.cam_warmup)
        targets, query, cams = matched.targets, matched.matches.query, matched.cams
        self._statistics = step_statistics(batch, targets, matched.matches)
        far = prompt_loss(
            matched.prompts, targets.prompts, targets, query, self.distance, targets.token
        )
        # Every kind of label implies its tags, so all images teach the CAM branch.
        tags = tag_table(batch, cams.maps.shape[1])  # (B, C)
        predictions = matched.predictions
        return {
            **self.segmenter.matched_losses(predictions, targets, matched.matches, generator),
            "loss_prompt": far.sum(),
            "loss_cam": tag_loss(tag_logits(cams.maps, cams.valid), tags),
            "loss_self": self._self_loss(step, predictions, cams, tags),
        }

    def pair(
        self, batch: Sequence[Sample], generator: torch.Generator | None, peaks: bool
    ) -> MatchedBatch:
        """Predictions for a batch, its targets, and which query is matched to which instance.

        Args:
            batch: as for `losses`.
            generator: draws the points that masks are compared at.
            peaks: whether activation maps give tags their points.
        """
        teacher = self._teacher_at(batch[0].image.device)
        images = self.segmenter.framing([sample.image for sample in batch], True)
        maps = self.segmenter.extract_features(images)
        predictions = self.segmenter.decode(images, maps)
        prompts = self.predict_prompts(predictions, images.originals)
        cams = self.cam_head(maps, images.padding)
        completed = add_pseudo_labels(batch, cams if peaks else None, teacher, self.peaks)
        targets = wish_targets(completed, self.prompt_head, teacher, self.gate, self.choice)
        far = prompt_term(prompts, targets.prompts, targets, self.distance, targets.token)
        matches = self.segmenter.match(predictions, targets, generator, {"prompt": far})
        return MatchedBatch(predictions, prompts, cams, completed, targets, matches)

    def activation_maps(self, images: Sequence[Tensor]) -> Cams:
        """Activation maps of images (3, H, W) float32 in 0..1, framed as in training."""
        batch = self.segmenter.framing(images, True)
        return self.cam_head(self.segmenter.extract_features(batch), batch.padding)

    def predict_prompts(
        self, predictions: Predictions, originals: Sequence[Size], last: bool = False
    ) -> Tensor:
        """(L, B, Q, T, D), Z_hat of all layers or of the last; `originals` are (H, W) of images."""
        states = predictions.states[-1:] if last else predictions.states
        if self.prompt_head.sees == "state":
            return self.prompt_head(states)
        teacher = self._teacher_at(states.device)
        return self.prompt_head(states, prompts_from_masks(predictions, originals, teacher, last))

    def predict(self, images: Sequence[Tensor]) -> list[Detections]:
        """Detections for images (3, H, W) float32 in 0..1; sizes may differ."""
        return self.segmenter.predict(images)

    def statistics(self) -> dict[str, float]:
        """Numbers of the last `losses`, for the history; see `step_statistics`."""
        if not self._statistics:
            return {}
        # One transfer from the device for all of them.
        values = torch.stack([value.float() for value in self._statistics.values()]).tolist()
        return dict(zip(self._statistics, values, strict=True))

    def _self_loss(self, step: int, predictions: Predictions, cams: Cams, tags: Tensor) -> Tensor:
        """What the last layer's masks teach the maps, once they are good enough (equation 21)."""
        if self.self_start is None or step < self.self_start:
            return cams.maps.float().sum() * 0.0  # 0 that a backward pass accepts
        classes, embeddings = predictions.classes[-1], predictions.embeddings[-1]
        targets = self_targets(classes, embeddings, predictions.features, tags, cams.size)
        return self_loss(cams.maps, targets, cams.valid)

    def _count(self) -> int:
        """How many training steps were begun before this one."""
        before = int(self.steps)
        if self.training:
            self.steps += 1
        return before

    def _teacher_at(self, device: torch.device) -> Teacher:
        if self.teacher.device != device:
            self.teacher.to(device)
        return self.teacher
