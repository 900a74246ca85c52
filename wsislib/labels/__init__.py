"""Labels of every kind from labels of masks: what a budget buys, who has masks, GrabCut's masks.

- `budget`, `prices`: how many images of each kind a budget buys, and which (`Mix`, `Prices`).
- `splits`: which categories have masks (`Split`).
- `weaken`, `datasets`: weaker labels of one image and of a data set (`WeakDataset`).
- `grabcut`, `grabcut_dataset`: masks from boxes without learning (`GrabCutDataset`).
- `mask_store`: masks on disk, made by several processes (`MaskStore`, `StorePass`).

Nothing is imported here: settings need prices, but neither torch nor OpenCV.
"""
