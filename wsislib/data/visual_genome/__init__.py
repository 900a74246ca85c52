"""Visual Genome: its files, its classes and its data set."""
