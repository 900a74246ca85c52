"""Whether a run's prompt head has learnt to tell one object from another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
import torch

from wsisbook.experiments.wish import build_model, teacher_of, weak_data
from wsisbook.part2.prompt_show import tokens_of
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
    """Mean distance of prompts from one and the same answer for all of them.

    The answer is the mean of all tokens, which for KL from what is said to what is wanted is the
    best single answer there is.

    Args:
        teacher: whose tokens.
        weak: images labelled by points, boxes or masks.
        distance: of prompts.
        tokens: their shape.
        count: the first images that are looked at.

    Raises:
        ValueError: no image has a prompt.
    """
    found = []
    for index in range(min(count, len(weak))):
        sample = weak[index]
        if len(sample.label) and sample.label.kind != LabelKind.TAG:
            size = (int(sample.image.shape[-2]), int(sample.image.shape[-1]))
            found.append(tokens_of(teacher, prompts_of(sample.label), size, tokens))
    if not found:
        raise ValueError("no image has points, boxes or masks: there is no prompt to say")
    wanted = torch.cat(found)  # (N, T, D)
    return float(distance(wanted.mean(0, keepdim=True).expand_as(wanted), wanted).mean())


def prompt_learnt(rows: Sequence[RowResults], seed: int = 0, count: int = 200) -> pd.DataFrame:
    """What the prompt heads of runs were from their targets at the end, beside one answer for all.

    Returns:
        A row for each of `rows` (labels of points, boxes or masks) with the columns "one answer
        for all" and "the prompt head", mean distances a layer of the decoder; the latter is
        missing where the run is.
    """
    lines = {}
    for row in rows:
        config = row.config
        teacher = teacher_of(config)
        assert teacher is not None
        weak = weak_data(config, row.data_sets()[0], seed)
        distance = PromptDistance(config.prompt_distance, config.prompt_temperature)
        lines[row.name] = {
            "one answer for all": constant_baseline(
                teacher, weak, distance, config.prompt_tokens, count
            )
        }
        history = row.history(seed)
        if history is not None:
            model = build_model(config, len(weak.categories), teacher, seed, fetch=False)
            assert isinstance(model, WISH)
            answers = len(model.segmenter.query_decoder.layers) + 1
            end = history["loss_prompt"].dropna().tail(LAST).mean()
            lines[row.name]["the prompt head"] = float(end) / answers
    return pd.DataFrame.from_dict(lines, orient="index")
