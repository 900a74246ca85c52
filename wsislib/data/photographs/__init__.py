"""COCO and PASCAL VOC data sets: `coco.CocoDataset`, `voc.VocDataset`, and their checks.

`validate.check_coco` and `check_voc` report every problem of a data set, `require_trainable`
refuses one with errors, and `write_repaired` writes a COCO file without faulty annotations.
"""
