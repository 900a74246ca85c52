"""How the weights that the package ships were trained, packed and measured.

`LabBackboneRecipe` with `train_lab_backbone`, `TinySamRecipe` with `train_tiny_sam` and
`StartRecipe` with `train_start` (of models for one's own photographs) train them,
`measure_teacher` evaluates a SAM, `install_weights` puts files into the package.
"""
