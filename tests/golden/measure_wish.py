"""WISH on labels of all four kinds, taught by a SAM of random weights."""

import torch

from tests.golden.golden_numbers import exact
from wsislib.data.sample import Label, LabelKind, Sample


def wish() -> dict[str, float | str]:
    """Losses of two steps, what the teacher offers, and what is detected after them."""
    from wsislib.models.mask2former.builders import mask2former_lab
    from wsislib.models.sam.prompts import Prompts
    from wsislib.models.sam.sam import Teacher
    from wsislib.models.sam.tiny_sam import tiny_sam
    from wsislib.models.wish.builders import wish_lab, wish_loss_weights

    sam = tiny_sam(0, 8, 32, (4, 4, 4, 4))
    with torch.no_grad():
        for place, parameter in enumerate(sam.mask_decoder.parameters()):
            wave = torch.arange(parameter.numel()).view(parameter.shape) + 7 * place
            parameter.add_(0.1 * wave.sin())
    teacher = Teacher(sam, "golden", "0")
    batch = [_drawn(kind) for kind in LabelKind]
    prompts = Prompts(boxes=batch[LabelKind.BOX].label.boxes)
    (offered,) = teacher.candidates([batch[LabelKind.BOX].image], [prompts])
    numbers: dict[str, float | str] = {
        "teacher.logits": float(offered.logits.abs().mean()),
        "teacher.scores": float(offered.scores.abs().mean()),
        "teacher.tokens": float(teacher.prompt_embeddings(prompts, (32, 32)).abs().mean()),
    }
    model = wish_lab(3, teacher, cam_warmup=1, self_start=1, seed=0).train()
    assert mask2former_lab(3).state_dict().keys() == model.segmenter.state_dict().keys()
    sgd = torch.optim.SGD(model.parameters(), 1e-3)
    points, weights = torch.Generator().manual_seed(0), wish_loss_weights()
    for step in range(2):
        losses = model.losses(batch, points)
        numbers.update({f"step {step}.{name}": loss.item() for name, loss in losses.items()})
        sgd.zero_grad()
        torch.stack([weights[name] * loss for name, loss in losses.items()]).sum().backward()
        sgd.step()
    (found,) = model.eval().predict([batch[0].image])
    numbers["scores"] = float(found.scores.mean())
    return numbers


def _drawn(kind: LabelKind) -> Sample:
    """Two discs and what each kind of label says of them."""
    y, x = torch.meshgrid(torch.arange(32) + 0.5, torch.arange(32) + 0.5, indexing="ij")
    masks = torch.stack([torch.hypot(x - 9, y - 10) < 6, torch.hypot(x - 21, y - 20) < 8])
    image = 0.1 + 0.05 * torch.stack([(0.7 * x).sin(), (0.4 * y).cos(), (x * y / 50).sin()])
    image[0, masks[0]], image[1, masks[1]] = 0.8, 0.7
    fields: dict[str, torch.Tensor] = {}
    if kind == LabelKind.POINT:
        fields["points"] = torch.tensor([[10.5, 9.5], [18.5, 22.5]])
    if kind >= LabelKind.BOX:
        fields["boxes"] = torch.tensor([[3.0, 4, 15, 16], [13, 12, 29, 28]])
    if kind == LabelKind.MASK:
        fields["masks"] = masks
    return Sample(image, 1 + int(kind), Label(kind, torch.tensor([0, 2]), **fields))


def pseudo_points() -> dict[str, float | str]:
    """Peaks of fixed maps, which of them are merged, and which candidates they leave."""
    from wsislib.data.sample import Candidates
    from wsislib.models.wish.candidate_choice import Gate
    from wsislib.models.wish.pseudo_points import PeakRule, find_peaks, mask_nms

    y, x = torch.meshgrid(torch.arange(12.0), torch.arange(12.0), indexing="ij")
    maps = torch.stack([(0.9 * x + c).sin() + (0.7 * y * (c + 1)).cos() for c in range(3)])
    peaks = find_peaks(maps, torch.tensor([0, 2]), PeakRule())
    points = peaks.cells.flip(1) * 4 + 4.5

    def ask(places: torch.Tensor) -> Candidates:
        side = torch.arange(96) + 0.5
        x, y = (places[:, i, None, None, None] for i in range(2))
        apart = torch.maximum((side - x).abs(), (side[:, None] - y).abs())  # (P, 1, 96, 96)
        reach = torch.tensor([9.0, 14.0, 30.0])[:, None, None]
        quality = 0.5 + 0.4 * (places.sum(1, keepdim=True) + torch.arange(3)).sin().abs()
        return Candidates(apart < reach, quality)

    kept = mask_nms(points, peaks.categories, ask, 0.5)
    label = Label(LabelKind.POINT, kept.categories, points=kept.points)
    allowed = Gate()(label, kept.candidates, is_pseudo=torch.ones(len(label)).bool())
    return {
        "peaks": exact([peaks.categories.tolist(), peaks.cells.tolist()]),
        "strength": float(peaks.strength.mean()),
        "kept": exact([kept.categories.tolist(), kept.points.tolist()]),
        "allowed": exact(allowed.tolist()),
        "peaks found": float(len(peaks)),
        "points kept": float(len(kept)),
        "candidates allowed": float(allowed.sum()),
    }
