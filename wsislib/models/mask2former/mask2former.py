"""Mask2Former (Cheng et al. 2022) for instances, in plain PyTorch.

Backbone, pixel decoder and query decoder are built outside (see `builders.py`). Models that learn
from other labels use the three steps of `losses`: `decode`, `match` (with terms of their own) and
`matched_losses`.

Deliberate differences from the authors' code and from Hugging Face's port:

- Padding is hidden from the network, and no point of a mask loss lies in it, so an image gives the
  same numbers alone and in a batch. (Theirs treat padding as image. `hide_padding=False` of
  `Preprocess` does the same.) Batch norm that learns still sees it.
- The random points of the matcher are drawn once an image, not once an image and layer; those that
  uncertain points are chosen from once an instance, not once an instance and layer.
- A cost that is not finite takes the largest finite one and is counted; an image without any
  finite cost is an error that names it. Theirs goes on.
- Masks are divided by the number of instances of this process's images, not of all processes'.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from wsislib.data.sample import Detections, Sample, WindowDetection
from wsislib.losses.points import PointSampling, random_points, uncertain_points
from wsislib.losses.queries import class_loss, class_truth, instance_maps, mask_losses
from wsislib.losses.targets import Targets, mask_targets
from wsislib.matching import (
    MatchCosts,
    Matches,
    class_term,
    hungarian_match,
    mask_terms,
    nearest_candidate,
)
from wsislib.models.mask2former.preprocess import ImageBatch, Preprocess
from wsislib.models.mask2former.query_decoder import Predictions, QueryDecoder
from wsislib.models.mask2former.query_inference import detect, detect_windows


class Mask2Former(nn.Module):
    """Queries that each predict one instance.

    Args:
        framing: normalises, resizes and pads.
        backbone: (B, 3, H, W) -> ordered dict of maps, finest first. What averages over a whole
            map, such as squeeze-and-excitation or group norm, would see the padding
            (`padding.py`): it must leave that out or not be there.
        pixel_decoder: maps and padding -> `Pixels`.
        query_decoder: pixels and padding -> `Predictions`.
        sampling: points of the mask losses; its count is the matcher's too.
        cost_weights: of the matching terms "class", "mask" and "dice".
        no_object_weight: in the class loss, of queries that match no instance: they are many.
        max_detections: an image.
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
        max_detections: int = 100,
    ) -> None:
        super().__init__()
        self.framing, self.backbone = framing, backbone
        self.pixel_decoder, self.query_decoder = pixel_decoder, query_decoder
        self.sampling, self.cost_weights = sampling, dict(cost_weights)
        # Kept apart: the nearest candidate is chosen by masks even where matching ignores them.
        self.candidate_weights = (cost_weights["mask"], cost_weights["dice"])
        self.no_object_weight, self.max_detections = no_object_weight, max_detections

    def losses(
        self, batch: Sequence[Sample], generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Named, unweighted losses of a batch, each summed over the decoder's layers.

        Args:
            batch: images with a mask for every instance.
            generator: draws the points; None is torch's global one, which `fit` seeds.

        Returns:
            loss_class, loss_mask and loss_dice, float32 scalars. The authors weight them 2, 5
            and 5: `builders.LOSS_WEIGHTS`.

        Raises:
            ValueError: an instance has no mask, or all of an image's matching costs are not
                finite.
        """
        targets = mask_targets(batch)
        predictions = self.decode(self.framing([sample.image for sample in batch], True))
        matches = self.match(predictions, targets, generator)
        return self.matched_losses(predictions, targets, matches, generator)

    def extract_features(self, images: ImageBatch) -> Mapping[str, Tensor]:
        """The backbone's maps, finest first."""
        with images.padding.hidden_from(self.backbone):
            return self.backbone(images.pixels)

    def decode(self, images: ImageBatch, maps: Mapping[str, Tensor] | None = None) -> Predictions:
        """All layers' predictions; `maps` of `extract_features` where they are there already."""
        maps = self.extract_features(images) if maps is None else maps
        return self.query_decoder(self.pixel_decoder(maps, images.padding), images.padding)

    def match(
        self,
        predictions: Predictions,
        targets: Targets,
        generator: torch.Generator | None,
        terms: Mapping[str, Tensor] | None = None,
    ) -> Matches:
        """Assign queries to instances, each pair with the candidate mask nearest to the query's.

        Args:
            predictions: of L layers.
            targets: N instances.
            generator: draws the points.
            terms: further costs (L, Q, N) by name, each with its own entry in `cost_weights`.
        """
        features, embeddings = predictions.features, predictions.embeddings
        extent, area = predictions.padding.extents(features.device)
        # The same points for all queries and instances of an image, so that their costs compare.
        points = random_points(len(targets.counts), self.sampling.count, area, generator)
        bce, dice = mask_terms(embeddings, features, targets, points, extent)
        by_candidate = self.candidate_weights[0] * bce + self.candidate_weights[1] * dice
        nearest = nearest_candidate(by_candidate, targets.allowed)  # (L, Q, N)
        chosen = nearest.unsqueeze(-1)
        costs = {
            "class": class_term(predictions.classes, targets),
            "mask": bce.gather(-1, chosen).squeeze(-1),
            "dice": dice.gather(-1, chosen).squeeze(-1),
            **(terms or {}),
        }
        matches = hungarian_match(costs, self.cost_weights, targets, nearest)
        return replace(matches, costs=MatchCosts(costs, by_candidate, points))

    def matched_losses(
        self,
        predictions: Predictions,
        targets: Targets,
        matches: Matches,
        generator: torch.Generator | None,
    ) -> dict[str, Tensor]:
        """loss_class, loss_mask and loss_dice of matched queries, each summed over layers."""
        classes, query = predictions.classes, matches.query
        truth = class_truth(query, targets, classes.shape[2], classes.shape[3] - 1)
        missed = class_loss(classes, truth, self.no_object_weight, targets.background_known)
        maps = instance_maps(predictions.embeddings, predictions.features, query, targets)
        extent, area = predictions.padding.extents(maps.device)
        points = uncertain_points(maps, area[targets.image], self.sampling, generator)
        bce, dice = mask_losses(maps, targets, query, matches.candidate, points, extent)
        return {"loss_class": missed.sum(), "loss_mask": bce.sum(), "loss_dice": dice.sum()}

    @torch.no_grad()
    def predict(self, images: Sequence[Tensor]) -> list[Detections]:
        """Detections for images (3, H, W) float32 in 0..1; sizes may differ."""
        batch = self.framing(images, False)
        return detect(self.decode(batch), batch, self.max_detections)

    @torch.no_grad()
    def predict_windows(self, image: Tensor) -> Iterator[WindowDetection]:
        """The detections that `predict` gives of one image (3, H, W), up to rounding."""
        batch = self.framing([image], False)
        yield from detect_windows(self.decode(batch), batch, self.max_detections)
