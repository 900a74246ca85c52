"""The small labelled images of the model tests."""

from tests.models.conftest import make_sample, same_points

__all__ = ["make_sample", "same_points"]
