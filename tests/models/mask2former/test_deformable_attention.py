"""Deformable attention: equal to Hugging Face's."""

import torch
from transformers.models.mask2former.modeling_mask2former import (
    Mask2FormerPixelDecoderEncoderMultiscaleDeformableAttention as TheirAttention,
)
from transformers.models.mask2former.modeling_mask2former import multi_scale_deformable_attention

from tests.numeric import OTHER_CODE, close
from wsislib.models.mask2former.deformable_attention import (
    DeformableAttention,
    TokenGrid,
    sample_levels,
)

SHAPES = [(2, 3), (4, 6), (8, 12)]
SIZE = torch.tensor(SHAPES, dtype=torch.float32)  # (L, 2) height, width
TOKENS = sum(h * w for h, w in SHAPES)
CPU = torch.device("cpu")


def question(seed=0, batch=2, heads=4, depth=5, points=3, queries=11, far=4.0):
    """Values, places (many of them outside) and weights, as leaves."""
    g = torch.Generator().manual_seed(seed)
    places = (batch, queries, heads, len(SHAPES), points)
    values = torch.randn(batch, TOKENS, heads, depth, generator=g)
    x = torch.rand(places, generator=g) * (SIZE[:, 1:] + 2 * far) - far
    y = torch.rand(places, generator=g) * (SIZE[:, :1] + 2 * far) - far
    weights = torch.rand(places, generator=g)
    return [t.requires_grad_() for t in (values, x, y, weights)]


def their_read(values, x, y, weights):
    places = torch.stack([(x + 0.5) / SIZE[:, 1:], (y + 0.5) / SIZE[:, :1]], -1)
    read = multi_scale_deformable_attention(values, SHAPES, places, weights)
    return read.unflatten(-1, values.shape[2:])


def test_values_and_gradients_equal_theirs():
    leaves = question()
    wanted, found = their_read(*leaves), sample_levels(*leaves, SHAPES)
    close(found, wanted, OTHER_CODE, atol=1e-5)
    upstream = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(1))
    gradients = zip(
        torch.autograd.grad(found, leaves, upstream),
        torch.autograd.grad(wanted, leaves, upstream),
        strict=True,
    )
    for ours, theirs in gradients:
        close(ours, theirs, OTHER_CODE, rtol=1e-4, atol=1e-4)


def test_reads_cells_exactly_and_zero_far_outside():
    values = torch.arange(float(TOKENS)).view(1, TOKENS, 1, 1)
    one = torch.zeros(1, 3, 1, 3, 1)
    one[:, :, :, 2] = 1  # the finest level only
    x = torch.tensor([0.0, 11.0, -2.5]).view(1, 3, 1, 1, 1).expand(1, 3, 1, 3, 1)
    y = torch.tensor([0.0, 7.0, 1.0]).view(1, 3, 1, 1, 1).expand(1, 3, 1, 3, 1)
    found = sample_levels(values, x, y, one, SHAPES).flatten().tolist()
    close(found, [30.0, TOKENS - 1.0, 0.0], "places that are scaled and scaled back", atol=1e-4)


def test_module_equals_theirs():
    torch.manual_seed(0)
    width, heads, points = 32, 4, 4
    ours = DeformableAttention(width, heads, len(SHAPES), points)
    theirs = TheirAttention(width, heads, len(SHAPES), points)
    with torch.no_grad():
        for p in ours.parameters():
            p += 0.1 * torch.randn_like(p)
        x, y, scores = ours.look.weight.chunk(3)
        theirs.sampling_offsets.weight.copy_(torch.stack([x, y], 1).flatten(0, 1))
        theirs.attention_weights.weight.copy_(scores)
        x, y, scores = ours.look.bias.chunk(3)
        theirs.sampling_offsets.bias.copy_(torch.stack([x, y], 1).flatten())
        theirs.attention_weights.bias.copy_(scores)
    theirs.value_proj.load_state_dict(ours.value.state_dict())
    theirs.output_proj.load_state_dict(ours.out.state_dict())
    tokens, positions = torch.randn(2, TOKENS, width), torch.randn(1, TOKENS, width)
    valid = torch.rand(2, TOKENS) < 0.8
    grid = TokenGrid.of(SHAPES, CPU)
    places = (torch.stack([grid.x, grid.y], -1) + 0.5) / SIZE.flip(-1)  # (S, L, 2) xy in 0..1
    wanted, _ = theirs(
        tokens, attention_mask=~valid, encoder_hidden_states=tokens,
        position_embeddings=positions, reference_points=places.expand(2, -1, -1, -1),
        spatial_shapes_list=SHAPES,
    )  # fmt: skip
    found = ours(tokens, positions, grid, valid)
    close(found, wanted, OTHER_CODE, rtol=1e-4, atol=1e-5)


def test_heads_start_in_different_directions_and_points_ever_further():
    bias = DeformableAttention(32, 4, 2, 3).look.bias.view(3, 4, 2, 3)
    x, y, scores = bias.unbind()
    ways = [(1, 0), (0, 1), (-1, 0), (0, -1)]
    for head, (right, down) in enumerate(ways):
        far = torch.tensor([1.0, 2.0, 3.0]).expand(2, 3)
        close(x[head], right * far, "sines of whole quarters are not quite 0 or 1", atol=1e-5)
        close(y[head], down * far, "sines of whole quarters are not quite 0 or 1", atol=1e-5)
    assert (scores == 0).all()
