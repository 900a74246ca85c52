"""Labelling one's own images in a notebook: tags, points, boxes and masks in one COCO file.

`page.label` opens the page, `label_file.LabelFile` is the file behind it, and
`measured_prices.measured_prices` turns the time that labelling took into prices.
"""
