"""Training, prediction and evaluation, the same for every model and data set.

`train.fit` with `config.TrainConfig` trains, resumes and writes checkpoints; `predict.predict_all`
gives COCO results and `evaluate.coco_ap` their average precision; `weights.load_weights` and
`save_weights` keep models; `device.pick_device` chooses where to compute; `history.read_history`
reads a run's curve.
"""
