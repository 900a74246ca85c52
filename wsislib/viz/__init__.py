"""Figures that notebooks and commands share.

`overlay.overlay` draws a label or detections over an image, `pictures.pictures` a grid of them,
`curves.curves` and `history_curves` lines, `tables.styled` a data frame; `figure.BookFigure` and
`save_figure` show and save without pyplot, `palette` has the colours.
"""
