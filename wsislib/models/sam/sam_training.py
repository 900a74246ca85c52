"""What turns a small SAM into something the training loop can train.

Kirillov et al. 2023, section 3, with four deviations that a laptop's core asks for: cross-entropy
instead of the focal loss (20 x focal + Dice stood on a plateau for hundreds of steps), every mask
that a prompt may mean is a target at once (see `losses.candidates`), no rounds of corrective
prompts, and many prompts share one image embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from segment_anything.modeling import MaskDecoder, Sam
from segment_anything.modeling.common import LayerNorm2d
from torch import Tensor, nn
from torch.nn import functional as F

from wsislib.data.sample import Label, Sample
from wsislib.losses.candidates import assigned_cost, expected_iou, iou_table, pair_costs
from wsislib.models.sam.drawn_prompts import DrawnPrompts, PromptRule, draw_prompts

# Parts, objects and groups. Labels are of objects, so objects are drawn more often.
LEVEL_WEIGHT = (1.0, 2.0, 1.0)


def level_weights(label: Label) -> Tensor:
    """(K,) weights of entries whose category is their level, as `LevelScenes` gives them."""
    assert label.boxes is not None
    return label.boxes.new_tensor(LEVEL_WEIGHT)[label.categories]


def side_weights(label: Label) -> Tensor:
    """(K,) weights of objects of a photograph: the square root of the mask's area.

    A crowd of tiny masks would else fill a photograph's prompts, and they say little of outlines.
    """
    assert label.masks is not None
    return label.masks.flatten(1).sum(1).clamp(min=1).float().sqrt()


class SamTraining(nn.Module):
    """A SAM with the `losses` half of the model protocol.

    Attributes:
        sam: what is trained.
        rule: how prompts are drawn.
        weights: how often each entry of a label is drawn, (K,) float above 0.
    """

    def __init__(
        self,
        sam: Sam,
        rule: PromptRule | None = None,
        weights: Callable[[Label], Tensor] = level_weights,
    ) -> None:
        """Train `sam` in place."""
        super().__init__()
        self.sam = sam
        self.rule = rule or PromptRule()
        self.weights = weights
        sam.image_encoder.to(memory_format=torch.channels_last)  # a third faster on a CPU

    def losses(self, batch: Sequence[Sample]) -> dict[str, Tensor]:
        """Losses of as many prompts an image as the rule says.

        Args:
            batch: images of the side that the SAM takes, labels of kind MASK.

        Returns:
            `mask` of the three candidates, `single` of the mask for unambiguous prompts, and
            `iou`, the squared error of the predicted IoU.
        """
        samples = [sample for sample in batch if len(sample.label)]
        if not samples:
            zero = torch.stack([p.sum() for p in self.parameters()]).sum() * 0.0
            return {"mask": zero, "single": zero, "iou": zero}
        # The engine seeds torch's generator at every step; prompts follow from that.
        generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
        drawn = [self._draw(sample, generator) for sample in samples]
        features = self._embed(samples)  # (B, D, h, w)
        low, scores = self._decode(features, drawn)  # (P, 4, 4h, 4w), (P, 4)
        row, column = torch.randint(2, (2,), generator=generator).tolist()
        low, scores = every_second(low.float(), row, column).flatten(2), scores.float()
        order, pairs = _points_first(drawn), list(zip(samples, drawn, strict=True))
        truths = torch.cat([_truths(s, d, row, column) for s, d in pairs])[order]  # (P, 3, S)
        weight = torch.cat([self.weights(s.label)[d.truths] for s, d in pairs])[order]  # (P, 3)
        valid = torch.cat([d.valid for d in drawn])[order]
        candidates = low[:, 1:]
        with torch.no_grad():
            target = expected_iou(iou_table(candidates, truths), weight * valid)
        return {
            "mask": assigned_cost(pair_costs(candidates, truths), valid),
            "single": pair_costs(low[:, :1], truths[:, :1]).mean(),
            "iou": F.mse_loss(scores[:, 1:], target),
        }

    def _draw(self, sample: Sample, generator: torch.Generator) -> DrawnPrompts:
        # On the CPU, where the generator is: the same prompts whatever the device.
        label = sample.label.to("cpu")
        assert label.masks is not None and label.boxes is not None
        weights = self.weights(label)
        drawn = draw_prompts(label.masks, label.boxes, weights, self.rule, generator)
        return drawn.to(sample.image.device)

    def _embed(self, samples: Sequence[Sample]) -> Tensor:
        """(B, D, h, w) of images of the SAM's own side."""
        images = torch.stack([self.sam.preprocess(255 * s.image) for s in samples])
        return self.sam.image_encoder(images.contiguous(memory_format=torch.channels_last))

    def _decode(self, features: Tensor, drawn: Sequence[DrawnPrompts]) -> tuple[Tensor, Tensor]:
        """Low-resolution logits and scores of all prompts, points of all images first."""
        encode = self.sam.prompt_encoder
        # -0.5: the package takes pixel indices and adds the half itself.
        points = torch.cat([d.points for d in drawn])[:, None] - 0.5
        boxes = torch.cat([d.boxes for d in drawn]) - 0.5
        foreground = torch.ones(points.shape[:2], dtype=torch.int, device=points.device)
        sparse = torch.cat(
            [
                encode(points=(points, foreground), boxes=None, masks=None)[0],
                encode(points=None, boxes=boxes, masks=None)[0],
            ]
        )  # (P, 2, D)
        image = torch.cat([torch.full((len(d.truths),), i) for i, d in enumerate(drawn)])
        image = image.to(features.device)[_points_first(drawn)]
        dense = encode.no_mask_embed.weight[:, :, None, None]  # (1, D, 1, 1)
        positions = encode.get_dense_pe()
        return decode_masks(self.sam.mask_decoder, features[image], positions, sparse, dense)


def decode_masks(
    decoder: MaskDecoder, features: Tensor, positions: Tensor, sparse: Tensor, dense: Tensor
) -> tuple[Tensor, Tensor]:
    """`MaskDecoder.predict_masks` for prompts of several images at once: each brings its image.

    Args:
        decoder: the package's; its modules are used in the same order.
        features: (P, D, h, w), the image embedding of each prompt.
        positions: (1, D, h, w).
        sparse: (P, 2, D) prompt tokens.
        dense: (P or 1, D, h or 1, w or 1).

    Returns:
        Logits (P, 4, 4h, 4w), the first for unambiguous prompts, and scores (P, 4).
    """
    learnt = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])  # (5, D)
    tokens = torch.cat([learnt.expand(len(sparse), -1, -1), sparse], dim=1)  # (P, 7, D)
    answers, keys = decoder.transformer(
        features + dense, positions.expand(len(features), -1, -1, -1), tokens
    )  # (P, 7, D), (P, h w, D)
    grid = keys.transpose(1, 2).reshape(features.shape)
    first, norm, act, second, last = decoder.output_upscaling
    fine = last(second(act(channel_norm(norm, first(grid)))))  # (P, D / 8, 4h, 4w)
    heads = enumerate(decoder.output_hypernetworks_mlps)
    filters = torch.stack([head(answers[:, 1 + i]) for i, head in heads], dim=1)  # (P, 4, D / 8)
    masks = (filters @ fine.flatten(2)).unflatten(2, fine.shape[2:])  # (P, 4, 4h, 4w)
    return masks, decoder.iou_prediction_head(answers[:, 0])


def channel_norm(norm: LayerNorm2d, x: Tensor) -> Tensor:
    """The package's `LayerNorm2d` in one fused step instead of eight; (B, C, H, W) -> same."""
    normal = F.layer_norm(
        x.permute(0, 2, 3, 1), (x.shape[1],), norm.weight, norm.bias, norm.eps
    )  # (B, H, W, C)
    return normal.permute(0, 3, 1, 2)


def every_second(low: Tensor, row: int, column: int) -> Tensor:
    """Pixels row, row + 2, ... and column, column + 2, ... of logits (..., h, w) scaled up twofold.

    `F.interpolate(low, scale_factor=2, mode="bilinear")[..., row::2, column::2]`: a quarter of the
    pixels for a quarter of the cost, and over the steps all of them. They have to be those of the
    scaled-up logits: learnt at the decoder's own resolution, masks of the lab's small objects lose
    5 % of IoU by the scaling alone.
    """
    for dim, odd in ((-2, row), (-1, column)):
        last = low.shape[dim] - 1
        inner = low.narrow(dim, 1, last) if odd else low.narrow(dim, 0, last)
        edge = low.narrow(dim, last if odd else 0, 1)
        beside = torch.cat([inner, edge] if odd else [edge, inner], dim=dim)
        low = torch.lerp(low, beside, 0.25)
    return low


def _truths(sample: Sample, drawn: DrawnPrompts, row: int, column: int) -> Tensor:
    """Truths (N, 3, S) at the pixels of `every_second`."""
    assert sample.label.masks is not None
    masks = sample.label.masks[:, row::2, column::2].flatten(1).float()  # (M, S)
    return masks[drawn.truths]


def _points_first(drawn: Sequence[DrawnPrompts]) -> Tensor:
    """(P,) int64, the order of `_decode`: the points of all images, then the boxes."""
    is_box = [torch.arange(len(d.truths), device=d.truths.device) >= len(d.points) for d in drawn]
    return torch.cat(is_box).int().argsort(stable=True)
