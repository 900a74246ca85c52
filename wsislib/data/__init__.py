"""From files or a seed to samples."""

from wsislib.data.sample import Category, Dataset, Detections, Label, LabelKind, Model, Sample

__all__ = ["Category", "Dataset", "Detections", "Label", "LabelKind", "Model", "Sample"]
