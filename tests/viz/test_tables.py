"""Data frames in the look of the book."""

import pandas as pd

from wsislib.viz.tables import styled

FRAME = pd.DataFrame({"a": [1, 2], "b": [0.12345, float("nan")]}, index=["first", "second"])


def test_a_frame_has_the_class_that_the_theme_knows() -> None:
    assert 'class="dataframe"' in styled(FRAME).to_html()


def test_decimals_are_for_floats_and_a_format_for_all() -> None:
    text = styled(FRAME).to_html()
    assert ">0.12<" in text and ">1<" in text and ">nan<" not in text
    assert ">100%<" in styled(FRAME, "{:.0%}").to_html()


def test_missing_values_and_names_of_rows_are_as_asked() -> None:
    text = styled(FRAME, missing="none", index=False).to_html()
    assert ">none<" in text and "second" not in text
