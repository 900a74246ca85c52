"""Mask R-CNN and Mask^X R-CNN: detector, mask heads and the weight transfer function."""
