"""Pure loss functions: named, unweighted scalars with an explicit normaliser."""
