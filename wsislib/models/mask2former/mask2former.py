"""Mask2Former (Cheng et al. 2022) for instances, in plain PyTorch.

Backbone, pixel decoder and query decoder are built outside (see `builders_mask2former.py`). Models
that learn from other labels go through the same three steps as `losses` here: `say`, `match` (with
terms of their own) and `matched_losses`.

Deliberate differences from the authors' code and from Hugging Face's port:

- Padding is hidden from the network, and no point of a mask loss lies in it, so an image gives the
  same numbers alone and in a batch. (Theirs treat padding as black image. `hide_padding=False` of
  the framing does the same.) Batch norm that learns still sees it.
- The random points of the matcher are drawn once an image, not once an image and layer; those that
  uncertain points are chosen from once an instance, not once an instance and layer.
- A cost that is not finite takes the largest finite one and is counted; an image without any
  finite cost is an error that names it. Theirs goes on.
- Masks are divided by the number of instances of this process's images, not of all processes'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from wsislib.data.sample import Detections, Sample
from wsislib.losses.points import PointSampling, random_points, uncertain_points
from wsislib.losses.queries import class_loss, class_truth, instance_maps, mask_losses
from wsislib.losses.targets import Targets, mask_targets
from wsislib.matching import Matches, class_term, mask_terms, match, nearest_candidate
from wsislib.models.mask2former.preprocess import ImageBatch, Preprocess
from wsislib.models.mask2former.query_decoder import Predictions, QueryDecoder
from wsislib.models.mask2former.query_inference import detect


class Mask2Former(nn.Module):
    """Queries that each find one instance.

    Args:
        framing: normalises, resizes and pads.
        backbone: (B, 3, H, W) -> ordered dict of maps, finest first.
        pixel_decoder: maps and padding -> `Pixels`.
        query_decoder: pixels and padding -> `Predictions`.
        sampling: points of the mask losses; its count is the matcher's too.
        cost_weights: of the matching terms "class", "mask" and "dice".
        no_object_weight: in the class loss, of queries that answer for no instance.
        most: detections an image.
    """

    def __init__(
        self,
        framing: Preprocess,
        backbone: nn.Module,
        pixel_decoder: nn.Module,
        query_decoder: QueryDecoder,
        sampling: PointSampling,
        cost_weights: Mapping[str, float],
        no_object_weight: float = 0.1,
        most: int = 100,
    ) -> None:
        super().__init__()
        self.framing, self.backbone = framing, backbone
        self.pixel_decoder, self.query_decoder = pixel_decoder, query_decoder
        self.sampling, self.cost_weights = sampling, dict(cost_weights)
        self.nearness = (cost_weights["mask"], cost_weights["dice"])  # of a candidate
        self.no_object_weight, self.most = no_object_weight, most

    def losses(
        self, batch: Sequence[Sample], generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Named, unweighted losses of a batch, each summed over the decoder's layers.

        Args:
            batch: images with a mask for every instance.
            generator: draws the points; None is torch's global one, which `fit` seeds.

        Returns:
            loss_class, loss_mask and loss_dice, float32 scalars. The paper weights them 2, 5
            and 5: `builders_mask2former.LOSS_WEIGHTS`.

        Raises:
            ValueError: an instance has no mask, or all of an image's matching costs are not
                finite.
        """
        targets = mask_targets(batch)
        said = self.say(self.framing([sample.image for sample in batch], True))
        matches = self.match(said, targets, generator)
        return self.matched_losses(said, targets, matches, generator)

    def say(self, framed: ImageBatch) -> Predictions:
        """All layers' predictions."""
        return self.say_of(self.look(framed), framed)

    def look(self, framed: ImageBatch) -> Mapping[str, Tensor]:
        """The backbone's maps, finest first."""
        with framed.padding.hidden_from(self.backbone):
            return self.backbone(framed.pixels)

    def say_of(self, maps: Mapping[str, Tensor], framed: ImageBatch) -> Predictions:
        """All layers' predictions from the backbone's maps."""
        pixels = self.pixel_decoder(maps, framed.padding)
        return self.query_decoder(pixels, framed.padding)

    def match(
        self,
        said: Predictions,
        targets: Targets,
        generator: torch.Generator | None,
        terms: Mapping[str, Tensor] | None = None,
    ) -> Matches:
        """Assign queries to instances, each pair with the candidate mask nearest to the query's.

        Args:
            said: L layers' predictions.
            targets: N instances.
            generator: draws the points.
            terms: further costs (L, Q, N) by name, each with its own entry in `cost_weights`.
        """
        extent, area = said.padding.extents(said.features.device)
        count = self.sampling.count
        points = random_points(len(targets.counts), count, area, generator)
        bce, dice = mask_terms(said.embeddings, said.features, targets, points, extent)
        near = self.nearness[0] * bce + self.nearness[1] * dice
        nearest = nearest_candidate(near, targets.allowed)
        chosen = nearest.unsqueeze(-1)
        costs = {
            "class": class_term(said.classes, targets),
            "mask": bce.gather(-1, chosen).squeeze(-1),
            "dice": dice.gather(-1, chosen).squeeze(-1),
            **(terms or {}),
        }
        return match(costs, self.cost_weights, targets, nearest)

    def matched_losses(
        self,
        said: Predictions,
        targets: Targets,
        matches: Matches,
        generator: torch.Generator | None,
    ) -> dict[str, Tensor]:
        """loss_class, loss_mask and loss_dice of matched queries, each summed over layers."""
        queries, nothing = said.classes.shape[2], said.classes.shape[3] - 1
        truth = class_truth(matches.query, targets, queries, nothing)
        classes = class_loss(said.classes, truth, self.no_object_weight, targets.searched)
        maps = instance_maps(said.embeddings, said.features, matches.query, targets)
        extent, area = said.padding.extents(maps.device)
        points = uncertain_points(maps, area[targets.image], self.sampling, generator)
        bce, dice = mask_losses(maps, targets, matches.query, matches.candidate, points, extent)
        return {"loss_class": classes.sum(), "loss_mask": bce.sum(), "loss_dice": dice.sum()}

    @torch.no_grad()
    def predict(self, images: Sequence[Tensor]) -> list[Detections]:
        """Detections for images (3, H, W) float32 in 0..1; sizes may differ."""
        framed = self.framing(images, False)
        return detect(self.say(framed), framed, self.most)
