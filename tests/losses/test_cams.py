"""Losses of activation maps, on maps that are small enough to work out by hand."""

import torch
from torch.nn.functional import binary_cross_entropy, binary_cross_entropy_with_logits

from tests.numeric import OTHER_CODE, close
from wsislib.losses.cams import self_loss, self_targets, tag_logits, tag_loss


def test_a_tags_logit_is_the_mean_over_the_image_alone():
    maps = torch.arange(12.0).view(1, 1, 3, 4)
    close(tag_logits(maps, None).item(), 5.5, OTHER_CODE)
    valid = torch.zeros(1, 1, 3, 4, dtype=torch.bool)
    valid[..., :2, :2] = True
    close(tag_logits(maps, valid).item(), (0 + 1 + 4 + 5) / 4, OTHER_CODE)


def test_tag_loss_is_the_mean_cross_entropy():
    logits = torch.tensor([[2.0, -1.0], [0.5, 3.0]])
    tags = torch.tensor([[True, False], [False, False]])
    wanted = binary_cross_entropy_with_logits(logits, tags.float())
    close(tag_loss(logits, tags), wanted, OTHER_CODE)


def one_image(classes, masks, tags, size=(1, 2)):
    """Queries whose likeliest class and mask logits (Q, H, W) are as given."""
    logits = torch.nn.functional.one_hot(torch.tensor([classes]), 4).float() * 5  # C is 3
    embeddings = torch.eye(len(classes))[None]
    return self_targets(logits, embeddings, masks[None], torch.tensor([tags]), size)


def test_each_claimed_category_gets_the_union_of_its_queries():
    masks = torch.tensor([[[3.0, -3]], [[-3, 3]], [[3, 3]], [[9, 9]]])  # (Q, 1, 2)
    found = one_image([0, 0, 1, 3], masks, [True, False, True])
    # Category 1 is not in the image, 2 is claimed by nobody, 3 is "no object".
    assert found.image.tolist() == [0] and found.category.tolist() == [0]
    close(found.share[0, 0], torch.tensor([3.0, 3.0]).sigmoid(), OTHER_CODE)


def test_logits_are_averaged_over_cells():
    masks = torch.tensor([[[1.0, 3, -2, -4]]])
    found = one_image([0], masks, [True, False, False])
    close(found.share[0, 0], torch.tensor([2.0, -3.0]).sigmoid(), OTHER_CODE)


def test_self_loss_is_the_cross_entropy_on_the_image_alone():
    maps = torch.tensor([[[[1.0, -2, 7]], [[0, 0, 0]], [[4, 4, 4]]]])  # (1, 3, 1, 3)
    masks = torch.tensor([[[3.0, -3, 0]], [[-1, -1, 0]]])
    found = one_image([0, 2], masks, [True, False, True], size=(1, 3))
    valid = torch.tensor([[[[True, True, False]]]])
    own = maps[0, :, 0, :2].sigmoid()
    wanted = [
        binary_cross_entropy(own[0], torch.tensor([3.0, -3]).sigmoid()),
        binary_cross_entropy(own[2], torch.tensor([-1.0, -1]).sigmoid()),
    ]
    close(self_loss(maps, found, valid), sum(wanted) / 2, OTHER_CODE)


def test_targets_teach_the_map_and_nothing_else():
    maps = torch.randn(1, 3, 2, 2, requires_grad=True)
    classes = torch.tensor([[[5.0, 0, 0, 0]]], requires_grad=True)
    embeddings = torch.ones(1, 1, 2, requires_grad=True)
    features = torch.randn(1, 2, 4, 4, requires_grad=True)
    found = self_targets(classes, embeddings, features, torch.tensor([[True] * 3]), (2, 2))
    self_loss(maps, found, None).backward()
    assert maps.grad[0, 0].abs().sum() > 0 and (maps.grad[0, 1:] == 0).all()
    assert all(tensor.grad is None for tensor in (classes, embeddings, features))


def test_nothing_claimed_leaves_a_gradient_path():
    maps = torch.randn(1, 3, 2, 2, requires_grad=True)
    found = one_image([3], torch.ones(1, 2, 2), [True] * 3, size=(2, 2))
    loss = self_loss(maps, found, None)
    loss.backward()
    assert loss.item() == 0 and (maps.grad == 0).all()
