"""Whether a run's prompt head has learnt to tell one object from another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
import torch

from wsisbook.experiments.weak_labels import weak_data
from wsisbook.experiments.wish import teacher_of
from wsisbook.experiments.wish_settings import build_model
from wsisbook.part2.prompt_space import tokens_of
from wsisbook.reading import RowResults
from wsislib.data.sample import LabelKind
from wsislib.losses.prompts import PromptDistance
from wsislib.models.sam.prompts import prompts_of
from wsislib.models.wish.wish import WISH

if TYPE_CHECKING:
    from wsislib.data.sample import Dataset
    from wsislib.models.sam.sam import Teacher
    from wsislib.models.wish.prompt_head import Tokens

LAST = 5  # logged lines of a history that count as its end


def constant_baseline(
    teacher: Teacher,
    weak: Dataset,
    distance: PromptDistance,
    tokens: Tokens = "mean",
    count: int = 200,
) -> float:
    """Mean distance of prompts from one constant prediction for all of them.

    The constant is the mean of all tokens, which for KL from prediction to target is the best there
    is. The first `count` images are looked at, labelled by points, boxes or masks.

    Raises:
        ValueError: no image has a prompt.
    """
    tokens_by_image = []
    for index in range(min(count, len(weak))):
        sample = weak[index]
        if len(sample.label) and sample.label.kind != LabelKind.TAG:
            size = (int(sample.image.shape[-2]), int(sample.image.shape[-1]))
            tokens_by_image.append(tokens_of(teacher, prompts_of(sample.label), size, tokens))
    if not tokens_by_image:
        raise ValueError("no image has points, boxes or masks: there is no prompt to predict")
    targets = torch.cat(tokens_by_image)  # (N, T, D)
    return float(distance(targets.mean(0, keepdim=True).expand_as(targets), targets).mean())


def prompt_learnt(rows: Sequence[RowResults], seed: int = 0, count: int = 200) -> pd.DataFrame:
    """Distances of prompt heads from their targets at the end of training, and of a constant.

    A line a row (labels of points, boxes or masks) with means a layer of the decoder; that of the
    prompt head is missing where the run is.
    """
    lines = {}
    for row in rows:
        config = row.config
        teacher = teacher_of(config)
        assert teacher is not None
        weak = weak_data(config, row.data_sets()[0], seed)
        distance = PromptDistance(config.prompt_distance, config.prompt_temperature)
        constant = constant_baseline(teacher, weak, distance, config.prompt_tokens, count)
        lines[row.name] = {"constant predictor": constant}
        history = row.history(seed)
        if history is not None:
            model = build_model(config, len(weak.categories), teacher, seed, fetch=False)
            assert isinstance(model, WISH)
            layers = len(model.segmenter.query_decoder.layers) + 1
            end = history["loss_prompt"].dropna().tail(LAST).mean()
            lines[row.name]["prompt head"] = float(end) / layers
    return pd.DataFrame.from_dict(lines, orient="index")
