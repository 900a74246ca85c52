"""WISH as one picture: what flows where in a step of training."""

from __future__ import annotations

from matplotlib.figure import Figure

from wsisbook.part2.flow import Arrow, Node, flow

LEARNS, FROZEN, GIVEN, LOSS = 2, 1, 5, 4

NODES = {
    "image": Node("image", 0.9, 2.0, 1.2, group=GIVEN),
    "backbone": Node("backbone", 2.8, 2.0, 1.5, group=LEARNS),
    "decoder": Node("pixel decoder,\nquery decoder", 5.0, 2.0, 1.7, group=LEARNS),
    "classes": Node("class", 7.4, 1.1, 1.2, 0.5, LEARNS),
    "masks": Node("mask", 7.4, 2.0, 1.2, 0.5, LEARNS),
    "prompts": Node("prompt $\\hat{Z}$", 7.4, 2.9, 1.2, 0.5, LEARNS),
    "cam": Node("activation\nmaps", 2.8, 3.7, 1.5, group=LEARNS),
    "peaks": Node("peaks, merged", 5.0, 3.7, 1.7, 0.5),
    "teacher": Node("SAM\n(frozen)", 5.0, 4.9, 1.7, group=FROZEN),
    "label": Node("label: tag,\npoint, box\nor mask", 0.9, 4.9, 1.4, 0.9, GIVEN),
    "wanted": Node("candidates $m^{(n)}$,\nprompt $Z$", 7.6, 4.9, 1.8, group=FROZEN),
    "match": Node("matcher", 9.6, 2.9, 1.3),
    "seg": Node("$\\mathcal{L}_{seg}$", 9.6, 1.5, 1.0, 0.5, LOSS),
    "tag": Node("$\\mathcal{L}_{cam}$", 0.9, 3.7, 1.0, 0.5, LOSS),
    "self": Node("$\\mathcal{L}_{self}$", 5.0, 2.85, 1.0, 0.5, LOSS),
}
ARROWS = (
    Arrow("image", "backbone"),
    Arrow("backbone", "decoder"),
    Arrow("backbone", "cam"),
    Arrow("decoder", "classes"),
    Arrow("decoder", "masks"),
    Arrow("decoder", "prompts"),
    Arrow("cam", "peaks", dashed=True),
    Arrow("peaks", "teacher", "points of tags", dashed=True),
    Arrow("label", "teacher", "points, boxes", dashed=True),
    Arrow("label", "wanted", "masks: their own is the only candidate", bend=0.24, dashed=True),
    Arrow("teacher", "wanted", dashed=True),
    Arrow("wanted", "match", dashed=True),
    Arrow("classes", "match"),
    Arrow("masks", "match"),
    Arrow("prompts", "match"),
    Arrow("match", "seg", "who, which $n$"),
    Arrow("label", "tag", "tags", dashed=True),
    Arrow("cam", "tag"),
    Arrow("masks", "self", dashed=True),
    Arrow("cam", "self"),
)


def wish_flow() -> Figure:
    """The data flow of a training step."""
    legend = {
        GIVEN: "given",
        LEARNS: "learns",
        FROZEN: "teacher's, frozen",
        LOSS: "loss",
    }
    return flow(NODES, ARROWS, legend)
