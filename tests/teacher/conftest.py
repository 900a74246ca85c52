"""The tiny data set of the label tests."""

from tests.labels.conftest import blobs, make_label

__all__ = ["blobs", "make_label"]
