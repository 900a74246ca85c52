"""Labelling one's own images: tags, points, boxes and masks in one COCO file.

`page.label` opens the page in a notebook, `server.LabelServer` in a browser; `desk.Desk` is behind
both and `label_file.LabelFile` is the file. `proposals` takes a model's predictions in, and
`measured_prices.measured_prices` turns the time that labelling took into prices.
"""
