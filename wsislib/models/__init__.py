"""Models built from parts; none imports a data set or a config object."""
