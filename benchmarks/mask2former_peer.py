"""Our Mask2Former and Hugging Face's in the same shape, as steps that can be timed in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace

import torch
from hf_weights import load_hf_weights
from torch import Tensor, nn
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, ResNetConfig
from transformers.models.mask2former.modeling_mask2former import Mask2FormerPixelLevelModuleOutput
from transformers.utils import logging

from wsislib.data.sample import LabelKind, Sample
from wsislib.engine.config import Precision
from wsislib.engine.device import autocast
from wsislib.losses.targets import mask_targets
from wsislib.models.mask2former.builders import LOSS_WEIGHTS
from wsislib.models.mask2former.mask2former import Mask2Former
from wsislib.models.mask2former.padding import Padding
from wsislib.models.mask2former.pixel_decoder import DeformablePixelDecoder
from wsislib.models.mask2former.query_inference import detect

Step = Callable[[], object]


class OurPixels(nn.Module):
    """Our backbone and pyramid in the place of theirs, which has no light pixel decoder."""

    def __init__(self, backbone: nn.Module, pixel_decoder: nn.Module) -> None:
        super().__init__()
        self.backbone, self.pixel_decoder = backbone, pixel_decoder

    def forward(self, pixel_values: Tensor, **_: object) -> Mask2FormerPixelLevelModuleOutput:
        size = (pixel_values.shape[2], pixel_values.shape[3])
        maps = self.backbone(pixel_values)
        pixels = self.pixel_decoder(maps, Padding([size] * len(pixel_values), size))
        return Mask2FormerPixelLevelModuleOutput(
            encoder_last_hidden_state=list(maps.values())[-1],
            decoder_last_hidden_state=pixels.features,
            decoder_hidden_states=pixels.levels,
        )


def peer_of(model: Mask2Former) -> Mask2FormerForUniversalSegmentation:
    """Hugging Face's model of the same sizes; where it has the same parts, the same weights."""
    logging.set_verbosity_error()
    decoder = model.query_decoder
    queries, width = decoder.queries.weight.shape
    config = Mask2FormerConfig(
        backbone_config=ResNetConfig(out_features=["stage1", "stage2", "stage3", "stage4"]),
        num_labels=decoder.classify.out_features - 1,
        num_queries=queries,
        hidden_dim=width,
        feature_size=width,
        mask_feature_size=width,
        decoder_layers=len(decoder.layers) + 1,
        dim_feedforward=decoder.layers[0].widen.out_features,
        num_attention_heads=decoder.layers[0].look.heads,
        train_num_points=model.sampling.count,
    )
    peer = Mask2FormerForUniversalSegmentation(config)
    if isinstance(model.pixel_decoder, DeformablePixelDecoder):
        load_hf_weights(model, peer.state_dict(), learns_from={LabelKind.MASK})
    else:
        peer.model.pixel_level_module = OurPixels(model.backbone, model.pixel_decoder)
    return peer


class Ours:
    """Our model's steps on one batch."""

    def __init__(self, model: Mask2Former, batch: Sequence[Sample], precision: Precision) -> None:
        self.model, self.batch, self.precision = model, batch, precision
        self.device = batch[0].image.device
        self.optimiser = torch.optim.AdamW(model.parameters(), 1e-5)

    def train(self) -> None:
        """Forward, backward and optimiser."""
        self.model.train()
        with autocast(self.device, self.precision):
            losses = self.model.losses(self.batch)
        self.optimiser.zero_grad()
        sum(LOSS_WEIGHTS[name] * loss for name, loss in losses.items()).backward()
        self.optimiser.step()

    def predict(self) -> None:
        """From images to detections."""
        self.model.eval()
        with autocast(self.device, self.precision):
            self.model.predict([sample.image for sample in self.batch])

    def supervise(self) -> Step:
        """Matching and losses, from a decoder's answer to its gradient."""
        with torch.no_grad(), autocast(self.device, self.precision):
            said = self.model.decode(self.model.framing([s.image for s in self.batch], True))
        leaves = [said.classes, said.embeddings, said.features]
        leaves = [leaf.detach().float().requires_grad_() for leaf in leaves]
        classes, embeddings, features = leaves
        answer = type(said)(said.states, classes, embeddings, features, said.padding)
        targets = mask_targets(self.batch)

        def step() -> None:
            matches = self.model.match(answer, targets, None)
            losses = self.model.matched_losses(answer, targets, matches, None)
            total = sum(LOSS_WEIGHTS[name] * loss for name, loss in losses.items())
            torch.autograd.grad(total, leaves)

        return step


class Theirs:
    """The same steps of Hugging Face's model."""

    def __init__(self, ours: Ours) -> None:
        self.ours, self.device, self.precision = ours, ours.device, ours.precision
        self.model = peer_of(ours.model).to(self.device)
        self.optimiser = torch.optim.AdamW(self.model.parameters(), 1e-5)
        self.framed = ours.model.framing([s.image for s in ours.batch], True)
        self.pixels = self.framed.pixels.contiguous()  # as their image processor gives them
        self.masks = [s.label.masks.float() for s in ours.batch if s.label.masks is not None]
        self.classes = [s.label.categories for s in ours.batch]

    def train(self) -> None:
        """Forward, backward and optimiser."""
        self.model.train()
        with autocast(self.device, self.precision):
            answer = self.model(self.pixels, mask_labels=self.masks, class_labels=self.classes)
        self.optimiser.zero_grad()
        answer.loss.backward()
        self.optimiser.step()

    def predict(self) -> None:
        """From images to detections; the last step is ours for both."""
        self.model.eval()
        with torch.no_grad(), autocast(self.device, self.precision):
            answer = self.model(self.pixels)
            said = SimpleNamespace(
                classes=answer.class_queries_logits[None],
                masks=lambda: answer.masks_queries_logits,
            )
            detect(said, self.framed, self.ours.model.max_detections)

    def supervise(self) -> Step:
        """Matching and losses, from the same kind of answer to its gradient."""
        with torch.no_grad(), autocast(self.device, self.precision):
            said = self.ours.model.decode(self.framed)
        leaves = [said.classes, said.embeddings, said.features]
        leaves = [leaf.detach().float().requires_grad_() for leaf in leaves]

        def step() -> None:
            classes, embeddings, features = leaves
            masks = [torch.einsum("bqd,bdhw->bqhw", own, features) for own in embeddings]
            first = [
                {"masks_queries_logits": m, "class_queries_logits": c}
                for m, c in zip(masks[:-1], classes[:-1], strict=True)
            ]
            losses = self.model.get_loss_dict(
                masks[-1], classes[-1], self.masks, self.classes, first
            )
            torch.autograd.grad(sum(losses.values()), leaves)

        return step
