"""Weights in the layout of Hugging Face's `Mask2FormerForUniversalSegmentation`.

Only models with a ResNet backbone and the deformable pixel decoder have a counterpart there.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from wsislib.data.sample import LabelKind
from wsislib.models.mask2former.mask2former import Mask2Former
from wsislib.models.mask2former.pixel_decoder import DeformablePixelDecoder

_PARTS = {
    "model.pixel_level_module.encoder.": "backbone.",
    "model.pixel_level_module.decoder.": "pixel_decoder.",
    "model.transformer_module.": "query_decoder.",
    "class_predictor.": "query_decoder.classify.",
}
# (theirs, ours) within a part; every pair is tried, in this order.
_NAMES = {
    "backbone.": (
        (r"^embedder\.embedder\.convolution", "conv1"),
        (r"^embedder\.embedder\.normalization", "bn1"),
        (r"^encoder\.stages\.(\d+)\.layers\.", r"layer<\1>."),
        (r"\.layer\.(\d+)\.convolution", r".conv<\1>"),
        (r"\.layer\.(\d+)\.normalization", r".bn<\1>"),
        (r"\.shortcut\.convolution", ".downsample.0"),
        (r"\.shortcut\.normalization", ".downsample.1"),
    ),
    "pixel_decoder.": (
        (r"^level_embed", "level"),
        (r"^mask_projection", "mask"),
        (r"^input_projections\.(\d+)", r"project.\1"),
        (r"^adapter_1", "lateral.0"),
        (r"^layer_1", "smooth.0"),
        (r"^(project\.\d+|lateral\.0|smooth\.0)\.0", r"\1.conv"),
        (r"^(project\.\d+|lateral\.0|smooth\.0)\.1", r"\1.norm"),
        (r"^encoder\.", ""),
        (r"self_attn_layer_norm", "attention_norm"),
        (r"self_attn\.value_proj", "attention.value"),
        (r"self_attn\.output_proj", "attention.out"),
        (r"self_attn\.", "attention."),
    ),
    "query_decoder.": (
        (r"^queries_features", "queries"),
        (r"^queries_embedder", "places"),
        (r"^level_embed", "level"),
        (r"^decoder\.", ""),
        (r"^layernorm", "norm"),
        (r"^mask_predictor\.mask_embedder\.0\.0", "embed.0"),
        (r"^mask_predictor\.mask_embedder\.1\.0", "embed.2"),
        (r"^mask_predictor\.mask_embedder\.2\.0", "embed.4"),
        (r"cross_attn_layer_norm", "look_norm"),
        (r"self_attn_layer_norm", "talk_norm"),
        (r"cross_attn\.out_proj", "look.out"),
        (r"self_attn\.q_proj", "talk.query"),
        (r"self_attn\.k_proj", "talk.key"),
        (r"self_attn\.v_proj", "talk.value"),
        (r"self_attn\.out_proj", "talk.out"),
    ),
    "query_decoder.classify.": (),
}
_BOTH = ((r"final_layer_norm", "norm"), (r"\.fc1\.", ".widen."), (r"\.fc2\.", ".narrow."))


def load_hf_weights(
    model: Mask2Former,
    state: Mapping[str, Tensor],
    *,
    learns_from: Collection[LabelKind],
    allow_masks: bool = False,
) -> None:
    """Fill `model` with the weights of a Hugging Face Mask2Former of the same configuration.

    Such weights have been trained on masks. A run that learns from weaker labels may not start
    from them: its numbers would owe to masks what they claim to owe to points or boxes.

    Args:
        model: from `mask2former_r50` or with the same kinds of parts; filled in place.
        state: theirs, as `safetensors` or `state_dict()` give it.
        learns_from: every kind of label that the run is to learn from.
        allow_masks: let a weakly supervised run start from masks all the same.

    Raises:
        ValueError: the run is weakly supervised and `allow_masks` is not set; or the weights
            belong to another model: names up to three differences.
    """
    weak = sorted({LabelKind(kind).name for kind in learns_from} - {LabelKind.MASK.name})
    if weak and not allow_masks:
        raise ValueError(
            f"this run learns from labels of kind {', '.join(weak)}, but Mask2Former weights were "
            "trained on masks, so its result would not be weakly supervised. Start from a "
            "backbone that has seen image tags only, or say allow_masks=True and report it."
        )
    if not isinstance(model.pixel_decoder, DeformablePixelDecoder):
        raise ValueError(
            f"a model with a {type(model.pixel_decoder).__name__} has no counterpart at Hugging "
            "Face; build it with mask2former_r50"
        )
    wanted = model.state_dict()
    held = _translated(state)
    for name in wanted.keys() ^ held.keys():
        if name.endswith("num_batches_tracked"):  # frozen batch norm does not count
            held.pop(name, None)
            wanted.pop(name, None)
    _require_same(held, wanted)
    model.load_state_dict(held, strict=False)


def _translated(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same weights under our names and in our shapes."""
    ours: dict[str, Tensor] = {}
    for name, value in state.items():
        if name == "criterion.empty_weight":
            continue
        own = _our_name(name)
        if ".cross_attn.in_proj_" in own:  # three matrices in one
            for part, rows in zip(("query", "key", "value"), value.chunk(3), strict=True):
                ours[own.replace("cross_attn.in_proj_", f"look.{part}.")] = rows
        else:
            ours[own] = value
    for name in [n for n in ours if ".attention.attention_weights." in n]:
        offsets = ours.pop(name.replace("attention_weights", "sampling_offsets"), None)
        if offsets is not None:  # x and y in turn
            x, y = offsets[0::2], offsets[1::2]
            own = name.replace("attention.attention_weights", "attention.look")
            ours[own] = torch.cat([x, y, ours.pop(name)])
    return ours


def _our_name(name: str) -> str:
    """Theirs to ours; a name that is not known stays as it is."""
    for theirs, ours in _PARTS.items():
        if name.startswith(theirs):
            rest = name.removeprefix(theirs)
            for pattern, own in (*_NAMES[ours], *_BOTH):
                rest = re.sub(pattern, own, rest)
            # torchvision counts from 1
            return ours + re.sub(r"<(\d+)>", lambda m: str(int(m[1]) + 1), rest)
    return name


def _require_same(held: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Raise where the weights are not those of the model."""
    differences = [f"{name} is not in this model" for name in sorted(held.keys() - wanted.keys())]
    differences += [f"{name} is missing" for name in sorted(wanted.keys() - held.keys())]
    differences += [
        f"{name} is {tuple(held[name].shape)}, here {tuple(wanted[name].shape)}"
        for name in sorted(held.keys() & wanted.keys())
        if held[name].shape != wanted[name].shape
    ]
    if differences:
        more = f" and {len(differences) - 3} more" if len(differences) > 3 else ""
        raise ValueError(
            f"Hugging Face weights of another model ({'; '.join(differences[:3])}{more}). Build "
            "the model with the numbers of categories, queries and layers of their configuration."
        )
