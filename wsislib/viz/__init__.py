"""Figures that notebooks and commands share.

`overlay.draw_overlay` draws a label or detections over an image, `pictures.pictures` a grid of
them, `photo_overlay.draw_photo` COCO results into a photograph's pixels, `curves.curves` and
`history_curves` lines, `tables.styled` a data frame; `figure.BookFigure` and `save_figure` show
and save without pyplot, `palette` has the colours.
"""
