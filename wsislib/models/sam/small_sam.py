"""A SAM of a given width around an image encoder, from the `segment_anything` package's classes."""

from __future__ import annotations

from collections.abc import Sequence

from segment_anything.modeling import MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from torch import nn

# The package's own: ImageNet's mean and standard deviation, of bytes.
_PIXEL_MEAN, _PIXEL_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def small_sam(
    image_encoder: nn.Module,
    width: int,
    side: int,
    stride: int,
    pixel_mean: Sequence[float] = _PIXEL_MEAN,
    pixel_std: Sequence[float] = _PIXEL_STD,
) -> Sam:
    """Prompt encoder and mask decoder with random weights beside an image encoder.

    Kirillov et al. 2023, section 3; only the widths are ours.

    Args:
        image_encoder: (B, 3, side, side) -> (B, width, side / stride, side / stride).
        width: D, of image embedding, prompt tokens and transformer.
        side: of the images, pixels; a multiple of `stride`.
        stride: of the image embedding.
        pixel_mean: of red, green and blue in 0..255.
        pixel_std: likewise.
    """
    grid = side // stride
    return Sam(
        image_encoder=image_encoder,
        prompt_encoder=PromptEncoder(
            embed_dim=width,
            image_embedding_size=(grid, grid),
            input_image_size=(side, side),
            mask_in_chans=16,
        ),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(
                depth=2, embedding_dim=width, num_heads=4, mlp_dim=4 * width
            ),
            transformer_dim=width,
            iou_head_depth=3,
            iou_head_hidden_dim=width,
        ),
        pixel_mean=list(pixel_mean),
        pixel_std=list(pixel_std),
    )
