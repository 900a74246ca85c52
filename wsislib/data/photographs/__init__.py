"""Photographs on disk: COCO and VOC folders, their checks and repairs."""
