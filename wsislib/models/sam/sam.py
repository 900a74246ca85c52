"""SAM as a teacher: a function from an image and prompts to three candidate masks each.

Kirillov et al., "Segment Anything" (2023); WISH (Kweon and Yoon, 2025) uses it frozen, twice: the
prompt encoder gives the target of the prompt head, the mask decoder three candidates per label.
Everything is computed by the `segment_anything` package's own classes; here our images and labels
are translated for them, in the same way for `sam_vit_b` and the tiny SAM that ships with the book.

Coordinates: here they are continuous, the centre of pixel j lies at j + 0.5. The package takes
indices of pixels and adds the half itself. So 0.5 is taken off before its `ResizeLongestSide`
scales them, and the rest is what `SamPredictor.predict` does with the same pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from wsislib.data.mask_runs import MaskCrop
from wsislib.models.sam.prompts import Prompts, Size

if TYPE_CHECKING:
    from segment_anything.modeling import MaskDecoder, Sam

CANDIDATES = 3
AT_ONCE = 64  # prompts that the mask decoder takes together, and
_PIXELS_AT_ONCE = 2**24  # pixels of all of their images: three maps of floats are made of each
TOKENS = 2  # a point and the package's padding, or the two corners of a box


@dataclass(frozen=True)
class MaskCandidates:
    """Three masks for each of N prompts on one image of (H, W) pixels.

    Attributes:
        logits: (N, 3, H, W) float32; above 0 is inside.
        scores: (N, 3) float32, the IoU that SAM predicts for each; roughly 0..1, not clipped.
        low_logits: (N, 3, h, w) float32, before they were scaled up to the image.
    """

    logits: Tensor
    scores: Tensor
    low_logits: Tensor

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def masks(self) -> Tensor:
        """(N, 3, H, W) bool."""
        return self.logits > 0


@dataclass(frozen=True)
class Embedded:
    """Images as SAM sees them, computed once for any number of prompts.

    Attributes:
        features: (B, D, h, w) float32.
        input_sizes: (H, W) of each image as the encoder took it, without padding.
        sizes: (H, W) of each image as given.
    """

    features: Tensor
    input_sizes: tuple[Size, ...]
    sizes: tuple[Size, ...]

    def __len__(self) -> int:
        return len(self.sizes)

    def extents(self, side: int) -> Tensor:
        """(B, 2) float32 xy in 0..1: the part of SAM's square of `side` px that each covers."""
        sizes = [(width / side, height / side) for height, width in self.input_sizes]
        return self.features.new_tensor(sizes)

    def one(self, index: int) -> Embedded:
        """Image `index` alone."""
        only = slice(index, index + 1)
        return Embedded(self.features[only], self.input_sizes[only], self.sizes[only])


@dataclass(frozen=True)
class PromptAnswer:
    """Three masks for one prompt, each given where it may be True.

    Attributes:
        crops: of the masks.
        scores: (3,) float32 on the CPU, as of `MaskCandidates`.
    """

    crops: tuple[MaskCrop, ...]
    scores: Tensor


class Teacher:
    """A frozen SAM. Not a module: nothing of it is trained, saved or counted with a model.

    Attributes:
        name: for records.
        fingerprint: hex digest of its weights; another one means other candidates.
        side: longest side of an image as the encoder takes it, pixels.
        width: D, of a prompt token.
    """

    def __init__(self, sam: Sam, name: str, fingerprint: str) -> None:
        """Take a SAM over: it is put into evaluation mode and its weights are frozen."""
        from segment_anything.utils.transforms import ResizeLongestSide

        self.sam = sam.eval().requires_grad_(False)
        self.name, self.fingerprint = name, fingerprint
        self.side: int = sam.image_encoder.img_size
        self.width: int = sam.prompt_encoder.embed_dim
        self._resize = ResizeLongestSide(self.side)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.sam.pixel_mean.device

    def to(self, device: torch.device | str) -> Teacher:
        """Move the weights; returns itself."""
        self.sam.to(device)
        return self

    @torch.no_grad()
    def prompt_embeddings(self, prompts: Prompts, size: Size) -> Tensor:
        """Sparse tokens (N, 2, D) float32 of SAM's prompt encoder; they do not see the image.

        For a point its token and the one that the package pads with, for a box its two corners.
        `size` is (H, W) of the image that the coordinates refer to.
        """
        with torch.autocast(self.device.type, enabled=False):
            return self._sparse_and_dense(prompts, size)[0]

    @torch.no_grad()
    def embed(self, images: Sequence[Tensor]) -> Embedded:
        """The image encoder's maps of images (3, H, W) float32 in 0..1; sizes may differ."""
        inputs = [self._input(image) for image in images]  # (3, h, w) in 0..255
        with torch.autocast(self.device.type, enabled=False):
            batch = torch.stack([self.sam.preprocess(x) for x in inputs])  # (B, 3, side, side)
            features = self.sam.image_encoder(batch)
        return Embedded(
            features,
            tuple((x.shape[-2], x.shape[-1]) for x in inputs),
            tuple((image.shape[-2], image.shape[-1]) for image in images),
        )

    @torch.no_grad()
    def candidates(
        self,
        images: Sequence[Tensor] | Embedded,
        prompts: Sequence[Prompts],
        closer: bool = True,
    ) -> list[MaskCandidates]:
        """Three candidate masks and their predicted IoU for every prompt, for each of B images.

        Equal to `Sam.forward` with `multimask_output=True`.

        Args:
            images: B images (3, H, W) float32 in 0..1, or what `embed` made of them.
            prompts: one set for each image, in pixels of the image as given.
            closer: whether a teacher that can look closer at each object does, see `close_up`.
        """
        embedded = images if isinstance(images, Embedded) else self.embed(images)
        assert len(embedded) == len(prompts), "one set of prompts for each image"
        with torch.autocast(self.device.type, enabled=False):
            return [self._decode(embedded, index, some) for index, some in enumerate(prompts)]

    def answers(self, embedded: Embedded, prompts: Prompts) -> Iterator[PromptAnswer]:
        """As `candidates` of one image, prompt by prompt; few masks are there at once."""
        for some in portions(prompts, embedded.sizes[0]):
            (found,) = self.candidates(embedded, [some])
            for masks, scores in zip(found.masks.cpu().numpy(), found.scores.cpu(), strict=True):
                yield PromptAnswer(tuple(MaskCrop(mask, 0, 0) for mask in masks), scores)

    @torch.no_grad()
    def candidates_for_tokens(
        self,
        embedded: Embedded,
        tokens: Sequence[Tensor],
        decoder: MaskDecoder | None = None,
    ) -> list[MaskCandidates]:
        """Three candidate masks, for each of B images, for tokens that no prompt encoder made.

        Args:
            embedded: B images.
            tokens: of each image (N, T, D), any number T of tokens a prompt.
            decoder: another mask decoder of the same width; None is the teacher's own.
        """
        assert len(embedded) == len(tokens), "one set of tokens for each image"
        with torch.autocast(self.device.type, enabled=False):
            return [
                self._decoded(embedded, index, sparse.float(), self.no_mask(len(sparse)), decoder)
                for index, sparse in enumerate(tokens)
            ]

    def no_mask(self, count: int) -> Tensor:
        """(N, D, h, w), the package's dense embedding where no mask is given."""
        encode = self.sam.prompt_encoder
        dense = encode.no_mask_embed.weight.reshape(1, -1, 1, 1)
        return dense.expand(count, -1, *encode.image_embedding_size)

    def _decode(self, embedded: Embedded, index: int, prompts: Prompts) -> MaskCandidates:
        """MaskCandidates of one image."""
        if len(prompts) == 0:
            return self._empty(embedded, index)
        sparse, dense = self._sparse_and_dense(prompts, embedded.sizes[index])
        return self._decoded(embedded, index, sparse, dense, None)

    def _decoded(
        self,
        embedded: Embedded,
        index: int,
        sparse: Tensor,
        dense: Tensor,
        decoder: MaskDecoder | None,
    ) -> MaskCandidates:
        if len(sparse) == 0:
            return self._empty(embedded, index)
        low, scores = (decoder or self.sam.mask_decoder)(
            image_embeddings=embedded.features[index : index + 1],
            image_pe=self.sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
        )  # (N, 3, 4h, 4w), (N, 3)
        sizes = embedded.input_sizes[index], embedded.sizes[index]
        return MaskCandidates(self.sam.postprocess_masks(low, *sizes), scores, low)

    def _empty(self, embedded: Embedded, index: int) -> MaskCandidates:
        """For no prompt: the package's decoder cannot reshape empty tensors."""
        grid = self.sam.prompt_encoder.mask_input_size
        shapes = (embedded.sizes[index], (), grid)
        return MaskCandidates(*(embedded.features.new_zeros(0, CANDIDATES, *one) for one in shapes))

    def _sparse_and_dense(self, prompts: Prompts, size: Size) -> tuple[Tensor, Tensor]:
        """The package's embeddings (N, 2, D) of prompts and (N, D, h, w) of no mask."""
        encode = self.sam.prompt_encoder
        if prompts.boxes is not None:
            corners = self._pixels(prompts.boxes.reshape(-1, 2, 2), size)
            return encode(points=None, boxes=corners.reshape(-1, 4), masks=None)
        assert prompts.points is not None
        points = self._pixels(prompts.points[:, None], size)  # (N, 1, 2)
        foreground = torch.ones(points.shape[:2], dtype=torch.int, device=self.device)
        return encode(points=(points, foreground), boxes=None, masks=None)

    def _pixels(self, points: Tensor, size: Size) -> Tensor:
        """Continuous xy of the image as given -> the package's pixel indices of its input."""
        indices = self._resize.apply_coords(points.cpu().numpy().astype(np.float64) - 0.5, size)
        return torch.as_tensor(indices, dtype=torch.float, device=self.device)

    def _input(self, image: Tensor) -> Tensor:
        """(3, H, W) float32 in 0..1 -> (3, h, w) uint8 with the longest side that SAM takes."""
        # Bytes, because the package resizes through PIL.
        pixels = (image.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0)  # (H, W, 3)
        resized = self._resize.apply_image(pixels.cpu().numpy())
        return torch.as_tensor(resized, device=self.device).permute(2, 0, 1).contiguous()


def portions(prompts: Prompts, size: Size) -> list[Prompts]:
    """Prompts on an image of `size` (H, W), not too many together, one at least."""
    count = max(1, min(AT_ONCE, _PIXELS_AT_ONCE // (size[0] * size[1])))
    if prompts.boxes is not None:
        return [Prompts(boxes=some) for some in prompts.boxes.split(count)]
    assert prompts.points is not None
    return [Prompts(points=some) for some in prompts.points.split(count)]
