"""Data frames as the pages of the book show them."""

from __future__ import annotations

from typing import Any

import pandas as pd
from pandas.io.formats.style import Styler

LOOK = 'class="dataframe"'  # what the theme and book/_static/wsis.css know tables by


def styled(
    frame: pd.DataFrame, numbers: int | str = 2, *, missing: str = "", index: bool = True
) -> Styler:
    """Return a frame in the style of the book's other tables, its numbers in one format.

    `numbers` are the decimals of all floats, or a format for every value, such as "{:.0%}";
    `missing` stands for a NaN.
    """
    form: dict[str, Any] = {"precision" if isinstance(numbers, int) else "formatter": numbers}
    look = frame.style.set_table_attributes(LOOK).format(na_rep=missing, **form)
    return look if index else look.hide(axis="index")
