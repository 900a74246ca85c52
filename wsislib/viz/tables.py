"""Data frames as the pages of the book show them."""

from __future__ import annotations

import pandas as pd
from pandas.io.formats.style import Styler

LOOK = 'class="dataframe"'  # what the theme and book/_static/wsis.css know tables by


def styled(
    frame: pd.DataFrame, numbers: int | str = 2, *, missing: str = "", index: bool = True
) -> Styler:
    """Return a frame in the style of the book's other tables, its numbers in one format.

    Args:
        frame: what to show.
        numbers: decimals of all floats, or a format for every value, such as "{:.0%}".
        missing: what stands for a NaN.
        index: show the names of rows.
    """
    look = frame.style.set_table_attributes(LOOK)
    if isinstance(numbers, int):
        look = look.format(precision=numbers, na_rep=missing)
    else:
        look = look.format(numbers, na_rep=missing)
    return look if index else look.hide(axis="index")
