"""WISH: Mask2Former trained from image tags, points and boxes with SAM as the teacher."""
