"""SAM as a teacher: one interface to the tiny SAM of the package and to published ones."""
