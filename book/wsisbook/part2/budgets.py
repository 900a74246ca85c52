"""What a budget bought and what that was worth, for the chapter on budgets."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from wsisbook.experiments.settings import LIST_LENGTHS
from wsisbook.experiments.wish_settings import BUDGET, KINDS, WeakLabelConfig, bought
from wsisbook.reading import RowResults, StudyResults
from wsislib.data.sample import LabelKind
from wsislib.labels.budget import Mix, cost
from wsislib.labels.prices import Prices
from wsislib.viz.curves import Series, curves


def bought_mix(config: WeakLabelConfig) -> Mix:
    """The mix that settings buy; all training images where they name one kind for all.

    Raises:
        ValueError: `labels` are a mix that was written down: nothing was bought. Or they are of
            all images, and how many there are is known only once the data are read.
    """
    if config.labels == BUDGET:
        return bought(config)
    if config.labels not in KINDS:
        raise ValueError(f"labels {config.labels!r} are no budget's; they were written down")
    if config.data == "world":
        return Mix(**{config.labels: config.train_count})
    if config.data == "voc" and config.train_list in LIST_LENGTHS:
        return Mix(**{config.labels: LIST_LENGTHS[config.train_list]})
    raise ValueError(f"how many images {config.data!r} has is known only once they are read")


def _counts_and_cost(config: WeakLabelConfig) -> tuple[dict[str, int], float]:
    mix = bought_mix(config)
    counts = {name: mix.count(LabelKind(k)) for k, name in enumerate(KINDS)}
    return counts, cost(mix, Prices(mask=config.mask_price))


def mix_table(study: StudyResults, table: str) -> pd.DataFrame:
    """A line a row: how many images of each kind it has, and what they cost."""
    lines = {}
    for row in study.table(table).table.rows.values():
        counts, paid = _counts_and_cost(study[table, row.name].config)
        lines[row.title] = {**counts, "cost": paid}
    frame = pd.DataFrame.from_dict(lines, orient="index")
    return frame.astype(dict.fromkeys(KINDS, int)).rename_axis("row")


def cost_points(study: StudyResults, table: str, metric: str = "AP") -> pd.DataFrame:
    """A line a row of a table that was run: what its labels cost and its value of `metric`.

    Columns `row`, `name` (its kinds, such as "tags + boxes"), `cost`, `images` (how many are
    labelled), `ap` and `std` (NaN with one seed), as `tables.plots.ap_against_cost` draws them.
    """
    result, lines = study.table(table), []
    for row in result.table.rows.values():
        cell = result.cell(row.name, metric)
        if not cell.values:
            continue
        config = study[table, row.name].config
        counts, paid = _counts_and_cost(config)
        kinds = " + ".join(name for name, count in counts.items() if count)
        kinds += ", by kind" if getattr(config, "prompt_tokens", "") == "by-kind" else ""
        lines.append((row.name, kinds, paid, sum(counts.values()), cell.mean, cell.std))
    return pd.DataFrame(lines, columns=["row", "name", "cost", "images", "ap", "std"])


def rows_in_time(rows: Sequence[RowResults], column: str, smooth: int = 10) -> Figure | str:
    """A column of the histories of rows, such as "loss_class": mean and deviation over seeds.

    `smooth` logged lines are averaged. Of finished runs alone; "not run" where there are none.
    """
    series = []
    for row in rows:
        done = (seed for seed in row.seeds if row.state(seed).state == "done")
        histories = [h.set_index("step")[column] for s in done if (h := row.history(s)) is not None]
        smoothed = [h.dropna().rolling(smooth, min_periods=1).mean() for h in histories]
        if not smoothed:
            continue
        by_seed = pd.concat(smoothed, axis=1)
        spread = by_seed.std(axis=1).tolist() if len(smoothed) > 1 else None
        mean = by_seed.mean(axis=1)
        series.append(Series(row.title, mean.index.tolist(), mean.tolist(), spread))
    name = f"{column.removeprefix('loss_')} loss" if column.startswith("loss_") else column
    return curves(series, "step", name.replace("_", " ")) if series else "not run"
