"""Which training image gets which kind of label, as settings name it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from wsisbook.experiments.partial_data import PartialDataConfig
from wsislib.labels.prices import MASK_PRICE
from wsislib.strict import did_you_mean

if TYPE_CHECKING:
    from wsislib.data.sample import Dataset, LabelKind
    from wsislib.labels.budget import Mix
    from wsislib.labels.datasets import WeakDataset

KINDS = ("tags", "points", "boxes", "masks")
BUDGET = "budget"


@dataclass(frozen=True)
class WeakLabelConfig(PartialDataConfig):
    """How the training images are labelled.

    Attributes:
        labels: "tags", "points", "boxes" or "masks" for every training image; a mix such as
            "5290 tags + 441 boxes", whose images are drawn and the others left out; or "budget",
            the mix that `budget` buys in `shares`.
        label_seed: of the random points, and of which images get which kind.
        redraw: add the run's seed to `label_seed`, so that every run labels other images.
        budget: what labels may cost in all; an image's tags are 1.
        shares: kind -> the part of the budget that is spent on it; they sum to 1.
        mask_price: of an image with masks, see `labels/prices.py`.
        b_labels: the dearest kind that categories in B of `split` may have, whatever their image
            has: "boxes" is Mask^X R-CNN's setting; empty is what the image has.
    """

    labels: str = "boxes"
    label_seed: int = 0
    redraw: bool = False
    budget: float = 0.0
    shares: dict[str, float] = field(default_factory=dict)
    mask_price: float = MASK_PRICE
    b_labels: Literal["", "tags", "points", "boxes"] = ""

    def __post_init__(self) -> None:
        if self.labels == BUDGET:
            bought(self)
        elif self.budget or self.shares:
            raise ValueError(f"budget and shares go with labels 'budget', not {self.labels!r}")
        elif self.labels not in KINDS:
            _read(self.labels)
        if self.b_labels and all(_rank(kind) <= _rank(self.b_labels) for kind in image_kinds(self)):
            raise ValueError(
                f"b_labels is {self.b_labels!r}, but labels {self.labels!r} hold nothing dearer, "
                "so A and B would not differ; leave it out or name a cheaper kind"
            )


def bought(config: WeakLabelConfig) -> Mix:
    """What the budget of the settings buys.

    Raises:
        ValueError: a kind is unknown, shares do not sum to 1, or a kind gets no image.
    """
    from wsislib.data.sample import LabelKind
    from wsislib.labels.budget import mix_for_budget
    from wsislib.labels.prices import Prices

    for name in config.shares:
        if name not in KINDS:
            raise ValueError(f"shares: unknown kind {name!r}{did_you_mean(name, KINDS)}")
    shares = {LabelKind(KINDS.index(name)): share for name, share in config.shares.items()}
    return mix_for_budget(config.budget, shares, Prices(mask=config.mask_price))


def image_kinds(config: WeakLabelConfig) -> set[str]:
    """Which of `KINDS` images are labelled in."""
    if config.labels in KINDS:
        return {config.labels}
    mix = bought(config) if config.labels == BUDGET else _read(config.labels)
    return {name for name in KINDS if getattr(mix, name)}


def kinds_held(config: WeakLabelConfig) -> set[str]:
    """Which of `KINDS` the labels hold, those of B among them."""
    kinds = image_kinds(config)
    if config.b_labels:
        kinds |= {min(kind, config.b_labels, key=_rank) for kind in kinds}
    return kinds


def weak_data(config: WeakLabelConfig, train: Dataset, seed: int = 0) -> WeakDataset:
    """The training images with the labels that the settings give them.

    Args:
        config: the settings.
        train: images with masks.
        seed: the run's, for `redraw`.

    Raises:
        ValueError: the labels want more images than there are.
    """
    from wsislib.data.sample import LabelKind
    from wsislib.labels.budget import draw_kinds
    from wsislib.labels.datasets import WeakDataset

    label_seed = config.label_seed + (seed if config.redraw else 0)
    kinds: list[LabelKind | None]
    if config.labels in KINDS:
        kinds = [LabelKind(KINDS.index(config.labels))] * len(train)
    else:
        mix = bought(config) if config.labels == BUDGET else _read(config.labels)
        kinds = draw_kinds(mix, len(train), label_seed)
    return WeakDataset(train, kinds, label_seed, ceilings=_ceilings(config, len(train.categories)))


def _ceilings(config: WeakLabelConfig, category_count: int) -> list[LabelKind] | None:
    """The dearest kind of each category; None where nothing is held back."""
    from wsisbook.experiments.partial_data import chosen_split
    from wsislib.data.sample import LabelKind

    if not config.b_labels:
        return None
    in_b = set(chosen_split(config, category_count).b)
    low = LabelKind(_rank(config.b_labels))
    return [low if category in in_b else LabelKind.MASK for category in range(category_count)]


def _rank(kind: str) -> int:
    """Of `KINDS`, from cheapest to dearest."""
    return KINDS.index(kind)


def _read(text: str) -> Mix:
    from wsislib.labels.budget import parse_mix

    return parse_mix(text)
