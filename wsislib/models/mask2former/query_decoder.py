"""The masked-attention query decoder (Cheng et al. 2022, section 3.2 and figure 2).

A query's mask is linear in the mask features, and so is resizing. So the masks that steer
attention are computed at the size of the level at hand, and the masks of the losses at points only:
the large maps of all queries of all layers never exist.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, scaled_dot_product_attention

from wsislib.models.mask2former.padding import Padding
from wsislib.models.mask2former.pixel_decoder import Pixels
from wsislib.models.mask2former.positions import sine_positions


@dataclass(frozen=True)
class Predictions:
    """What Q queries predict for B images, L times: before the first layer and after each.

    Attributes:
        states: (L, B, Q, width), normalised; heads of other models start here.
        classes: (L, B, Q, C + 1) logits, the last one for "no object".
        embeddings: (L, B, Q, D); times `features` they are mask logits.
        features: (B, D, h, w), 0 past the images where padding is hidden.
        padding: where the images end.
    """

    states: Tensor
    classes: Tensor
    embeddings: Tensor
    features: Tensor
    padding: Padding

    def masks(self, layer: int = -1) -> Tensor:
        """(B, Q, h, w) mask logits of one layer."""
        return torch.einsum("bqd,bdhw->bqhw", self.embeddings[layer], self.features)


class QueryDecoder(nn.Module):
    """Queries that attend to one level after the other, each inside its own mask.

    Args:
        category_count: C.
        queries: Q.
        width: channels of queries and levels.
        mask_width: D.
        layers: L - 1; they take the levels in turn, coarsest first.
        heads: of the attention; they divide `width`.
        hidden: units of the feed-forward layers.
        levels: how many levels the pixel decoder gives.
    """

    def __init__(
        self,
        category_count: int,
        queries: int = 100,
        width: int = 256,
        mask_width: int = 256,
        layers: int = 9,
        heads: int = 8,
        hidden: int = 2048,
        levels: int = 3,
    ) -> None:
        super().__init__()
        self.queries = nn.Embedding(queries, width)
        self.places = nn.Embedding(queries, width)
        self.level = nn.Embedding(levels, width)
        self.layers = nn.ModuleList(QueryLayer(width, heads, hidden) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.classify = nn.Linear(width, category_count + 1)
        self.embed = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, mask_width),
        )  # fmt: skip

    def forward(self, pixels: Pixels, padding: Padding) -> Predictions:
        """All layers' predictions."""
        # Zero past the images, so that a mask logit there is 0 for every query.
        features = padding.clear(pixels.features)
        levels = [self._level(index, x, features, padding) for index, x in enumerate(pixels.levels)]
        batch = features.shape[0]
        x = self.queries.weight.expand(batch, -1, -1)  # (B, Q, width)
        # The learnt queries already predict, before they have seen the image: so the first layer
        # has masks to attend in.
        states = [self.norm(x)]
        embeddings = [self.embed(states[0])]
        for index, layer in enumerate(self.layers):
            level = levels[index % len(levels)]  # coarse to fine, over and over
            allowed = level.attention_mask(embeddings[-1])
            x = layer(x, self.places.weight, level.keys, level.values, allowed)
            states.append(self.norm(x))
            embeddings.append(self.embed(states[-1]))
        all_states = torch.stack(states)  # (L, B, Q, width)
        classes = self.classify(all_states)
        return Predictions(all_states, classes, torch.stack(embeddings), features, padding)

    def _level(self, index: int, x: Tensor, features: Tensor, padding: Padding) -> _Level:
        size = (int(x.shape[-2]), int(x.shape[-1]))
        values = x.flatten(2).transpose(1, 2) + self.level.weight[index]  # (B, S, width)
        positions = sine_positions(values.shape[-1], *size, padding, x.device)
        with torch.no_grad():  # a mask that steers attention is a yes or no: nothing to learn from
            small = interpolate(features, size=size, mode="bilinear", align_corners=False)
        valid = padding.valid(*size, x.device)
        flat = None if valid is None else valid.flatten(2)  # (B, 1, S)
        return _Level(values + positions, values, small.flatten(2), flat)


@dataclass(frozen=True)
class _Level:
    """One level as the queries see it; keys have positions added.

    `features` (B, D, S) are the mask features at this level's size; `valid` (B, 1, S) bool is False
    past the images, None where nothing is hidden.
    """

    keys: Tensor
    values: Tensor
    features: Tensor
    valid: Tensor | None

    @torch.no_grad()
    def attention_mask(self, embeddings: Tensor) -> Tensor:
        """(B, Q, S) bool: the cells in each query's mask; all cells where its mask is empty."""
        inside = embeddings @ self.features >= 0  # sigmoid >= 0.5
        if self.valid is not None:
            inside = inside & self.valid
        empty = ~inside.any(-1, keepdim=True)  # a softmax over no cell would be NaN
        return inside | (empty if self.valid is None else empty & self.valid)


class QueryLayer(nn.Module):
    """Masked attention to pixels, attention among queries, feed-forward; a norm after each."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        """See `QueryDecoder`."""
        super().__init__()
        self.look = Attention(width, heads)
        self.look_norm = nn.LayerNorm(width)
        self.talk = Attention(width, heads)
        self.talk_norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, hidden)
        self.narrow = nn.Linear(hidden, width)
        self.norm = nn.LayerNorm(width)
        for layer in (self.widen, self.narrow):
            nn.init.xavier_uniform_(layer.weight)

    def forward(
        self, x: Tensor, positions: Tensor, keys: Tensor, values: Tensor, allowed: Tensor
    ) -> Tensor:
        """One round of queries x (B, Q, width) on a level's keys and values (B, S, width).

        `positions` (Q, width) are learnt and added to queries and keys, never to values. `allowed`
        (B, Q, S) bool are the cells that each query may attend to.
        """
        # Cross-attention before self-attention: learnt queries have nothing to tell each other
        # before they have seen the image (section 3.2.2).
        x = self.look_norm(x + self.look(x + positions, keys, values, allowed))
        placed = x + positions
        x = self.talk_norm(x + self.talk(placed, placed, x))
        return self.norm(x + self.narrow(self.widen(x).relu()))


class Attention(nn.Module):
    """Multi-head attention."""

    def __init__(self, width: int, heads: int) -> None:
        """`heads` must divide `width`."""
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        for layer in (self.query, self.key, self.value, self.out):
            # The first three start as one matrix of 3 width rows would, torch's usual layout.
            nn.init.xavier_uniform_(layer.weight, 1.0 if layer is self.out else 0.5**0.5)
            nn.init.zeros_(layer.bias)

    def forward(
        self, queries: Tensor, keys: Tensor, values: Tensor, allowed: Tensor | None = None
    ) -> Tensor:
        """(B, Q, width) queries, (B, S, width) keys and values -> (B, Q, width).

        `allowed` is (B, Q, S) bool, with at least one True for every query.
        """
        q, k, v = (
            layer(x)
            .unflatten(-1, (self.heads, -1))
            .transpose(1, 2)  # (B, heads, Q or S, width / heads)
            for layer, x in ((self.query, queries), (self.key, keys), (self.value, values))
        )
        mask = None if allowed is None else allowed.unsqueeze(1)
        by_hand = q.device.type == "cpu" and q.dtype == torch.bfloat16
        attend = _attend if by_hand else scaled_dot_product_attention
        return self.out(attend(q, k, v, mask).transpose(1, 2).flatten(2))


def _attend(q: Tensor, k: Tensor, v: Tensor, allowed: Tensor | None) -> Tensor:
    """`scaled_dot_product_attention`, whose bfloat16 form takes a CPU two to three times longer."""
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)  # (B, heads, Q, S)
    if allowed is not None:
        wall = torch.zeros(allowed.shape, dtype=scores.dtype).masked_fill_(~allowed, -torch.inf)
        scores = scores + wall
    return scores.softmax(-1).to(v.dtype) @ v
