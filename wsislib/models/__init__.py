"""Models built from parts; none imports a data set or a config object.

Four families, each in its own room with its public names in `__init__`: `maskrcnn` (part one of the
book), `mask2former`, `sam` and `wish` (part two). `backbone` and `assets` are shared.
"""

__all__ = ["assets", "backbone", "mask2former", "maskrcnn", "sam", "wish"]
