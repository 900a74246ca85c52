"""Instance segmentation from labels cheaper than masks: the library under the study book."""

__version__ = "0.1.0"
