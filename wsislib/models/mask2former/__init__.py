"""Mask2Former: pixel decoder, query decoder and inference, in plain PyTorch."""
