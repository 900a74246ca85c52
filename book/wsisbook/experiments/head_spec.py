"""One mask head as study.yml spells it out, and the branch that it becomes.

heads:
  agnostic: {kind: class-agnostic}
  clsbox: {kind: transfer, inputs: cls+box}
  clsbox-mlp: {kind: transfer, inputs: cls+box, mlp_layers: 1}
  oracle: {kind: class-specific, masks: all}
  clsbox-60: {kind: transfer, a_count: 60}      # another split than the run's
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from wsisbook.experiments.partial_data import PartialDataConfig, named_split

if TYPE_CHECKING:
    from torch import Tensor

    from wsislib.labels.splits import Split
    from wsislib.models.maskrcnn.detector import Detector
    from wsislib.models.maskrcnn.mask_branch import MaskBranch
    from wsislib.models.maskrcnn.mask_rcnn import MaskRCNN

BuildMaskRCNN = Callable[[Literal["class-agnostic", "class-specific"]], "MaskRCNN"]


@dataclass(frozen=True)
class HeadSpec:
    """What one mask head is.

    Attributes:
        kind: one mask map for all categories, one each, or one each by weight transfer.
        masks: whose masks it learns from: of "A" or of "all" categories.
        split, a_count, split_seed: as of the run, where the head has another split than it.
        inputs, layers, activation: of weight transfer. "embedding" is the world's, or the
            run's `embedding_file`.
        mlp_layers: of the MLP branch; 0 leaves it out.
    """

    kind: Literal["class-agnostic", "class-specific", "transfer"] = "class-agnostic"
    masks: Literal["A", "all"] = "A"
    split: str | None = None
    a_count: int | None = None
    split_seed: int | None = None
    inputs: Literal["cls", "box", "cls+box", "random", "embedding"] = "cls+box"
    layers: int = 2
    activation: Literal["leaky-relu", "relu", "none"] = "leaky-relu"
    mlp_layers: int = 0

    def __post_init__(self) -> None:
        for name, least in (("layers", 1), ("mlp_layers", 0)):
            if not least <= getattr(self, name) <= 3:
                raise ValueError(f"{name} is {getattr(self, name)}; use {least} to 3")

    def split_of(self, config: PartialDataConfig, category_count: int) -> Split:
        """Who is in A and who in B, for this head."""
        return named_split(
            config.split if self.split is None else self.split,
            config.a_count if self.a_count is None else self.a_count,
            config.split_seed if self.split_seed is None else self.split_seed,
            category_count,
        )

    def branch(
        self,
        build: BuildMaskRCNN,
        detector: Detector,
        embedding: Tensor | None,
        mlp_pool: int,
        seed: int,
    ) -> MaskBranch:
        """The head over `detector`, with the initial weights that it has in a model of its own.

        Args:
            build: makes a Mask R-CNN whose mask branch is taken.
            detector: whose box predictor weight transfer reads.
            embedding: (C, D), for `inputs` "embedding".
            mlp_pool: see `MaskMLP`.
            seed: of the initial weights of transfer and MLP.
        """
        from wsislib.models.maskrcnn.builders import add_mlp_branch, transfer_predictor

        model = build("class-specific" if self.kind == "class-specific" else "class-agnostic")
        if self.kind == "transfer":
            model.mask.predictor = transfer_predictor(
                detector.roi.box_predictor,
                model.mask.width,
                self.inputs,
                self.layers,
                self.activation,
                embedding=embedding if self.inputs == "embedding" else None,
                seed=seed,
            )
        if self.mlp_layers:
            add_mlp_branch(model, self.mlp_layers, mlp_pool, seed)
        return model.mask
