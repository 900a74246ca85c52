"""What rows of a table found in validation scenes, beside the truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from matplotlib.figure import Figure

from wsisbook.experiments.partial_data import data_sets
from wsisbook.tables import show
from wsislib.viz.overlay import Style
from wsislib.viz.pictures import Panel, pictures, read_detections

SURE = 0.5  # a detection is drawn from this score on


def found_figure(
    table: str,
    rows: Mapping[str, str] | Iterable[str],
    scenes: Iterable[int],
    seed: int = 0,
    scale: str = "lab",
) -> Figure:
    """Return one line a scene: the truth, and what each row found with a score of 0.5 or more.

    Args:
        table: whose rows.
        rows: which, at least one, or title -> row. Above a row that was not run, that is said.
        scenes: indices of validation scenes, counted round; the run keeps what it found in the
            first few.
        seed: of the runs.
        scale: of the runs.

    Raises:
        ValueError: unknown table, row or scale; or no scene.
    """
    named = dict(rows) if isinstance(rows, Mapping) else {row: row for row in rows}
    config = show.run_config(table, next(iter(named.values())), seed, scale)
    truth = data_sets(config)[1]
    found = {row: show.examples(table, row, seed, scale) for row in named.values()}
    titles = ["truth"]
    for title, row in named.items():
        there = show.state_of(table, row, seed, scale).has_result
        titles.append(title if there else f"{title} (not run)")
    lines = []
    for sample in (truth[index % len(truth)] for index in scenes):
        where = (sample.image_id, truth.categories, config.image_size, config.image_size)
        own = [Panel(sample.image, read_detections(seen, *where)) for seen in found.values()]
        lines.append([Panel(sample.image, sample.label), *own])
    style = Style(show_names=False, min_score=SURE)
    return pictures(lines, truth.categories, titles=titles, style=style)
