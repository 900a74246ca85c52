"""Labelling one's own images in a notebook: tags, points, boxes and masks in one COCO file."""
