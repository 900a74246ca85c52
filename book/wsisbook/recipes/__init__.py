"""How the weights that the package ships were trained, packed and measured.

`LabBackboneRecipe` with `train_lab_backbone` and `TinySamRecipe` with `train_tiny_sam` train them,
`measure_teacher` evaluates a SAM, `install_weights` puts files into the package.
"""
